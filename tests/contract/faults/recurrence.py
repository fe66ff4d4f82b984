"""A small honest block with a recurrent state and a short convolution."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer import Block, Declared, Linears, Param, Site, Slot
from composer.nn import At, LinearGroup

WIDTH, KERNEL = 6, 3


class Fading(Block):
    """Sums that fade: `sum = exp(-dt) sum + dt u`, where u is a short convolution of the input."""

    kind: ClassVar[str] = "fading"

    fault: str = Field(default="", description="What is wrong with it.")

    def declares(self, site: Site) -> Declared:
        """What is summed and how fast it fades; the sums, and the last inputs of the convolution."""
        return Declared(
            params={"kernel": Param(shape=(KERNEL, WIDTH))},
            linears={
                "into": Linears(reads=site.reads, parts={"u": WIDTH, "dt": WIDTH}),
                "out": Linears(reads=WIDTH, parts={"o": site.writes}),
            },
            slot=Slot(kind="recurrent", tensors={"sum": (WIDTH,), "tail": (KERNEL - 1, WIDTH)}),
        )

    def build(self, site: Site) -> Any:
        """The module with the fault."""
        return MODULES.get(self.fault, Module)(self, site)


class Module(nn.Module):
    """The honest module, in pieces that a fault can replace."""

    def __init__(self, options: Fading, site: Site) -> None:
        super().__init__()
        linears = Fading().declares(site).linears
        self.kernel = nn.Parameter(torch.empty(KERNEL, WIDTH))
        self.into = LinearGroup(linears["into"])
        self.out = LinearGroup(linears["out"])

    def valid(self, at: At) -> Tensor | None:
        return at.step.valid

    def scanned(self, at: At) -> Tensor | None:
        return at.step.segments

    def convolved(self, at: At) -> Tensor | None:
        return at.step.segments

    def counts(self, at: At) -> tuple[int, ...]:
        return at.step.counts

    def held(self, at: At) -> Any:
        return at.state()

    def step_size(self, dt: Tensor, x: Tensor, at: At) -> Tensor:
        dt = F.softplus(dt).clamp_min(self.least(x, at))
        valid = self.valid(at)
        return dt if valid is None else dt * valid[..., None]

    def least(self, x: Tensor, at: At) -> float:
        return 0.1

    def asked(self, t: int) -> bool:
        """Whether a packed sequence may begin at a token."""
        return t > 0

    def begin(self, held: Any, at: At) -> Tensor:
        return held["sum"]

    def end(self, sums: list[Tensor], total: Tensor, at: At) -> Tensor:
        return total

    def fade(self, dt: Tensor) -> Tensor:
        return (-dt).exp()

    def mixed(self, total: Tensor) -> Tensor:
        return total

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail)

    def forward(self, x: Tensor, at: At) -> Tensor:
        held = self.held(at)
        u, dt = (part.float() for part in self.into(x, at))
        dt = self.step_size(dt, x, at)
        full = torch.cat([held["tail"], u], 1)
        u = convolve(full, self.kernel.float(), self.convolved(at))
        segments, total, sums = self.scanned(at), self.begin(held, at), []
        for t in range(x.shape[1]):
            if segments is not None and self.asked(t):
                total = torch.where((segments[:, t] == segments[:, t - 1])[:, None], total, 0)
            total = self.mixed(self.fade(dt[:, t]) * total + dt[:, t] * u[:, t])
            sums.append(total)
        rows = [full[b, n : n + KERNEL - 1] for b, n in enumerate(self.counts(at))]
        self.remember(at, self.end(sums, total, at), torch.stack(rows))
        return self.out(torch.stack(sums, 1).to(x.dtype), at)[0]


def convolve(full: Tensor, kernel: Tensor, segments: Tensor | None) -> Tensor:
    """(B, T, W) of (B, K - 1 + T, W); tokens of another segment count as zero."""
    length = full.shape[1] - KERNEL + 1
    out = torch.zeros_like(full[:, :length])
    for back in range(KERNEL):
        part = full[:, KERNEL - 1 - back : KERNEL - 1 - back + length]
        if segments is not None and back:
            same = segments[:, back:] == segments[:, :-back] if back < length else segments[:, :0] == 0
            part = torch.where(F.pad(same, (back, 0))[:, :length, None], part, 0)
        out = out + kernel[back] * part
    return out


MODULES: dict[str, type[Module]] = {}
"""The classes with faults, by name; filled by the package."""
