"""A small honest short convolution between two gates, and what authors of such blocks get wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer import Block, Causal, Declared, Linears, Param, Site, Slot
from composer.nn import At, LinearGroup

WIDTH, KERNEL = 6, 4


class Conv(Block):
    """A convolution over the newest four tokens, gated before and after."""

    kind: ClassVar[str] = "conv"

    fault: str = Field(default="", description="What is wrong with it.")

    def declares(self, site: Site) -> Declared:
        """Two gates and what they gate, one kernel a channel; the newest three of what is convolved."""
        return Declared(
            params={"kernel": Param(shape=(WIDTH, KERNEL))},
            linears={
                "into": Linears(reads=site.reads, parts=dict.fromkeys(("before", "after", "value"), WIDTH)),
                "out": Linears(reads=WIDTH, parts={"o": site.writes}),
            },
            slot=Slot(kind="recurrent", tensors={"tail": (WIDTH, KERNEL - 1)}),
        )

    def sees(self, query: Any, key: Any) -> Any:
        """The newest four."""
        return Causal(KERNEL)(query, key)

    def build(self, site: Site) -> Any:
        """The module with the fault."""
        return MODULES.get(self.fault, Module)(self, site)


class Module(nn.Module):
    """The honest module, in pieces that a fault can replace."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: Conv, site: Site) -> None:
        super().__init__()
        linears = options.declares(site).linears
        self.kernel = nn.Parameter(torch.empty(WIDTH, KERNEL))
        self.into = LinearGroup(linears["into"])
        self.out = LinearGroup(linears["out"])

    def tail(self, at: At) -> Tensor:
        """(B, W, K - 1) of what came before, in float32."""
        return at.state()["tail"]

    def kept(self, full: Tensor, before: Tensor, at: At) -> Tensor:
        """(B, W, K - 1): the newest of `full` (B, W, K - 1 + T) behind the real tokens."""
        return torch.stack([full[b, :, n : n + KERNEL - 1] for b, n in enumerate(at.step.counts)])

    def taps(self, full: Tensor) -> Tensor:
        """(W, K)."""
        return self.kernel.to(full.dtype)

    def convolved(self, full: Tensor, at: At) -> Tensor:
        """(B, W, T) of (B, W, K - 1 + T)."""
        segments, length, taps = at.step.segments, full.shape[2] - KERNEL + 1, self.taps(full)
        if segments is None:
            return F.conv1d(full, taps[:, None], groups=WIDTH)
        out, named = torch.zeros_like(full[..., :length]), F.pad(segments, (KERNEL - 1, 0), value=-1)
        for k in range(KERNEL):
            same = named[:, None, k : k + length] == segments[:, None]
            out = out + taps[:, k, None] * torch.where(same, full[..., k : k + length], 0)
        return out

    def forward(self, x: Tensor, at: At) -> Tensor:
        before, after, value = self.into(x, at)
        gated = (before * value).mT
        full = torch.cat([self.tail(at).to(x.dtype), gated], -1)
        at.remember(tail=self.kept(full, value.mT, at).float())
        return self.out(after * self.convolved(full, at).mT, at)[0]


# ------------------------------------------------------------------ faults


class PadsBothSides(Module):
    """The convolution is padded on both sides, as torch does when asked for `padding`."""

    def convolved(self, full: Tensor, at: At) -> Tensor:
        own = full[..., KERNEL - 1 :]
        return F.conv1d(own, self.kernel.to(own.dtype)[:, None], groups=WIDTH, padding=KERNEL // 2)[..., :-1]


class BeginsWithZeros(Module):
    """Every call begins with zeros instead of the tail."""

    def tail(self, at: At) -> Tensor:
        return torch.zeros_like(at.state()["tail"])


class TailBeforeGate(Module):
    """The tail holds what is convolved from before its gate."""

    def kept(self, full: Tensor, before: Tensor, at: At) -> Tensor:
        return super().kept(torch.cat([full[..., : KERNEL - 1], before], -1), before, at)


class SkipsShortCalls(Module):
    """Calls shorter than the kernel overwrite the tail with zeros and themselves."""

    def kept(self, full: Tensor, before: Tensor, at: At) -> Tensor:
        if at.step.width > 1:
            return super().kept(full, before, at)
        return F.pad(full[..., KERNEL - 1 :], (KERNEL - 2, 0))


class TailOfColumns(Module):
    """The tail is that of the last columns, pads or not."""

    def kept(self, full: Tensor, before: Tensor, at: At) -> Tensor:
        return full[..., -(KERNEL - 1) :]


class IgnoresSegments(Module):
    """The convolution reads the end of the packed sequence before."""

    def convolved(self, full: Tensor, at: At) -> Tensor:
        return F.conv1d(full, self.kernel.to(full.dtype)[:, None], groups=WIDTH)


class MixesChannels(Module):
    """One kernel is used for all channels."""

    def taps(self, full: Tensor) -> Tensor:
        return super().taps(full)[:1].expand(WIDTH, KERNEL)


class FlipsKernel(Module):
    """The kernel is applied from the other end."""

    def taps(self, full: Tensor) -> Tensor:
        return super().taps(full).flip(-1)


MODULES: dict[str, type[Module]] = {}
"""The classes with faults, by name; filled by the package."""
