"""A small honest block with a recurrent state, and the ways in which such a block can fail to be what it declares."""

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

    lie: str = Field(default="", description="What is wrong with it.")

    def declares(self, site: Site) -> Declared:
        """What is summed and how fast it fades; the sums, and the last inputs of the convolution."""
        return Declared(
            params={"kernel": Param(shape=(KERNEL, WIDTH))},
            linears={
                "in": Linears(reads=site.reads, parts={"u": WIDTH, "dt": WIDTH}),
                "out": Linears(reads=WIDTH, parts={"o": site.writes}),
            },
            slot=Slot(kind="recurrent", tensors={"sum": (WIDTH,), "tail": (KERNEL - 1, WIDTH)}),
        )

    def build(self, site: Site) -> Any:
        """The module that tells the lie."""
        return MODULES.get(self.lie, Module)(self, site)


class Module(nn.Module):
    """The honest module, in pieces that a lie can replace."""

    def __init__(self, options: Fading, site: Site) -> None:
        super().__init__()
        linears = Fading().declares(site).linears
        self.kernel = nn.Parameter(torch.empty(KERNEL, WIDTH))
        self.add_module("in", LinearGroup(linears["in"]))
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

    def least(self, x: Tensor, at: At) -> float:
        return 0.0

    def fade(self, dt: Tensor) -> Tensor:
        return (-dt).exp()

    def mixed(self, total: Tensor) -> Tensor:
        return total

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail)

    def forward(self, x: Tensor, at: At) -> Tensor:
        held = self.held(at)
        u, dt = (part.float() for part in self.get_submodule("in")(x, at))
        dt = F.softplus(dt).clamp_min(self.least(x, at))
        valid = self.valid(at)
        if valid is not None:
            dt = dt * valid[..., None]
        full = torch.cat([held["tail"], u], 1)
        u = convolve(full, self.kernel.float(), self.convolved(at))
        segments, total, sums = self.scanned(at), held["sum"], []
        for t in range(x.shape[1]):
            if segments is not None and t:
                total = torch.where((segments[:, t] == segments[:, t - 1])[:, None], total, 0)
            total = self.mixed(self.fade(dt[:, t]) * total + dt[:, t] * u[:, t])
            sums.append(total)
        rows = [full[b, n : n + KERNEL - 1] for b, n in enumerate(self.counts(at))]
        self.remember(at, total, torch.stack(rows))
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


# ------------------------------------------------------------------ lies


class SeesPads(Module):
    def valid(self, at: At) -> Tensor | None:
        return None


class TailOfPads(Module):
    def counts(self, at: At) -> tuple[int, ...]:
        return (at.step.width,) * len(at.step.counts)


class LeaksRows(Module):
    def mixed(self, total: Tensor) -> Tensor:
        return 0.9 * total + 0.1 * total.mean(0)


class SumsAcrossSegments(Module):
    def scanned(self, at: At) -> Tensor | None:
        return None


class ConvolvesAcrossSegments(Module):
    def convolved(self, at: At) -> Tensor | None:
        return None


class StepsDiffer(Module):
    """A least step for many tokens that is forgotten for one."""

    def least(self, x: Tensor, at: At) -> float:
        return 0.5 if x.shape[1] > 1 or at.fresh else 0.0


class ReturnsNothing(Module):
    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        return


class ReturnsHalf(Module):
    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total)


class ReturnsMore(Module):
    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail[:, 1:])


class ReturnsTwice(Module):
    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail)
        at.remember(sum=total, tail=tail)


class RoundsState(Module):
    """Hands its state back in the dtype of the model."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        dtype = self.out.get_parameter("o.weight").dtype
        at.remember(sum=total.to(dtype), tail=tail.to(dtype))


class KeepsItself(Module):
    """Has a state of its own beside the cache's."""

    mine: Any = None

    def held(self, at: At) -> Any:
        return self.mine if self.mine is not None and not at.fresh else at.state()

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        self.mine = {"sum": total, "tail": tail}
        at.remember(**self.mine)


class BeginsAnewForAll(Module):
    """Takes all rows for fresh when one is."""

    def held(self, at: At) -> Any:
        state = at.state()
        fresh = min(at.step.starts) == 0
        return {name: torch.zeros_like(value) if fresh else value for name, value in state.items()}


class CountsCalls(Module):
    """Its state depends on how often it was called."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total + 0.01, tail=tail)


class RunsAway(Module):
    """Grows where it should fade, but not on pads."""

    def fade(self, dt: Tensor) -> Tensor:
        return 1 + 0.03 * (dt > 0)


class Ticking(Module):
    """Counts calls where it says that it counts tokens, and never shows it."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail, clock=at.state()["clock"] + 1)


class SaysClock(Fading):
    """Has one state more than it needs."""

    def declares(self, site: Site) -> Declared:
        declared = super().declares(site)
        assert declared.slot is not None
        tensors = {**declared.slot.tensors, "clock": (1,)}
        slot = declared.slot.model_copy(update={"tensors": tensors})
        return declared.model_copy(update={"slot": slot})

    def build(self, site: Site) -> Any:
        return Ticking(self, site)


class InPlace(Module):
    """Honest: changes what it holds in place where no gradient is wanted."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        held = at.state()
        if at.slot is not None and not torch.is_grad_enabled():
            held["sum"].copy_(total)
            held["tail"].copy_(tail)
            at.remember(**held)


MODULES: dict[str, type[Module]] = {each.__name__: each for each in Module.__subclasses__()}
