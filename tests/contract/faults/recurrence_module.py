"""What authors of a recurrent block get wrong."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from composer import Declared, Site
from composer.nn import At

from .recurrence import KERNEL, Fading, Module, convolve

# ------------------------------------------------------------------ faults


class SeesPads(Module):
    """Pads write into the state: the step size is not multiplied by `valid`."""

    def valid(self, at: At) -> Tensor | None:
        return None


class TailOfPads(Module):
    """The tail of the convolution is taken from the last columns, pads or not."""

    def counts(self, at: At) -> tuple[int, ...]:
        return (at.step.width,) * len(at.step.counts)


class LeaksRows(Module):
    """States of all rows are mixed a little."""

    def mixed(self, total: Tensor) -> Tensor:
        return 0.9 * total + 0.1 * total.mean(0)


class SumsAcrossSegments(Module):
    """The state goes on from one packed sequence to the next."""

    def scanned(self, at: At) -> Tensor | None:
        return None


class SumsAcrossChunks(Module):
    """Work is done in chunks of 32 tokens, and a packed sequence that begins with one goes on from the last."""

    def asked(self, t: int) -> bool:
        return t % 32 > 0


class SlowPathSumsAcross(Module):
    """The slow path for the reference knows nothing of packed sequences."""

    def scanned(self, at: At) -> Tensor | None:
        return None if at.step.attention == "reference" else at.step.segments


class ConvolvesAcrossSegments(Module):
    """The convolution reads the end of the packed sequence before."""

    def convolved(self, at: At) -> Tensor | None:
        return None


class StepsDiffer(Module):
    """The least step size is forgotten in the formula for a single token."""

    def least(self, x: Tensor, at: At) -> float:
        return 0.5 if x.shape[1] > 1 or at.fresh else 0.0


class ForgetsSingleTokens(Module):
    """States are not handed back in a call of a single token."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        if at.step.width > 1:
            at.remember(sum=total, tail=tail)


class ReturnsHalf(Module):
    """One of two states is handed back."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total)


class ReturnsMore(Module):
    """A state is handed back one entry shorter than declared."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail[:, 1:])


class ReturnsTwice(Module):
    """States are handed back twice in a call."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail)
        at.remember(sum=total, tail=tail)


class RoundsState(Module):
    """States are handed back in the dtype of the model."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        dtype = self.out.get_parameter("o.weight").dtype
        at.remember(sum=total.to(dtype), tail=tail.to(dtype))


class KeepsItself(Module):
    """States are kept on the module and preferred to the cache's."""

    mine: Any = None

    def held(self, at: At) -> Any:
        return self.mine if self.mine is not None and not at.fresh else at.state()

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        self.mine = {"sum": total, "tail": tail}
        at.remember(**self.mine)


class BeginsAnewForAll(Module):
    """All rows begin anew when one does."""

    def held(self, at: At) -> Any:
        state = at.state()
        fresh = min(at.step.starts) == 0
        return {name: torch.zeros_like(value) if fresh else value for name, value in state.items()}


class CountsCalls(Module):
    """Something small is added to the state in every call."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total + 0.01, tail=tail)


class RunsAway(Module):
    """The decay has the wrong sign, so that the state grows."""

    def fade(self, dt: Tensor) -> Tensor:
        return 1 + 0.03 * (dt > 0)


class Ticking(Module):
    """Counts calls."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail, clock=at.state()["clock"] + 1)


class ClampsAfterMask(Module):
    """The step size is masked before its clamp, which gives pads the least step again."""

    def step_size(self, dt: Tensor, x: Tensor, at: At) -> Tensor:
        dt, valid = F.softplus(dt), at.step.valid
        return (dt if valid is None else dt * valid[..., None]).clamp_min(self.least(x, at))


class NaiveSoftplus(Module):
    """The softplus is written out, and its exponential of a large value is infinite."""

    def step_size(self, dt: Tensor, x: Tensor, at: At) -> Tensor:
        valid = self.valid(at)
        dt = (1 + dt.exp()).log().clamp_min(self.least(x, at))
        return dt if valid is None else dt * valid[..., None]


class LastColumn(Module):
    """The state is taken at `counts - 1`, which for a row without tokens is the last column."""

    def valid(self, at: At) -> Tensor | None:
        return None

    def end(self, sums: list[Tensor], total: Tensor, at: At) -> Tensor:
        return torch.stack([sums[count - 1][b] for b, count in enumerate(at.step.counts)])


class BeginsByFresh(Module):
    """What stands before the first token is added where `at.fresh` says so, which asks all rows at once."""

    def begin(self, held: Any, at: At) -> Tensor:
        return held["sum"] + 1 if at.fresh else held["sum"]


class TailOnSlot(Module):
    """The tail of the convolution is kept as an attribute of the slot, beside the declared states."""

    def held(self, at: At) -> Any:
        state = at.state()
        return {"sum": state["sum"], "tail": getattr(at.slot, "own_tail", torch.zeros_like(state["tail"]))}

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        at.remember(sum=total, tail=tail)
        if at.slot is not None:
            at.slot.own_tail = tail  # type: ignore[union-attr]  # that is the fault


class Divides(Module):
    """All tokens are summed at once by dividing through the product of decays, which runs out of digits."""

    def forward(self, x: Tensor, at: At) -> Tensor:
        if at.step.segments is not None or at.step.valid is not None or x.shape[1] == 1:
            return super().forward(x, at)
        held = self.held(at)
        u, dt = (part.float() for part in self.into(x, at))
        dt = self.step_size(dt, x, at)
        full = torch.cat([held["tail"], u], 1)
        u = convolve(full, self.kernel.float(), None)
        decay = (-dt.cumsum(1)).exp()
        sums = decay * (held["sum"][:, None] + (dt * u / decay).cumsum(1))
        self.remember(at, sums[:, -1], full[:, -KERNEL + 1 :])
        return self.out(sums.to(x.dtype), at)[0]


class OverwritesGradients(Module):
    """The state is changed in place, in training too."""

    def forward(self, x: Tensor, at: At) -> Tensor:
        held = self.held(at)
        u, dt = (part.float() for part in self.into(x, at))
        dt = self.step_size(dt, x, at)
        full = torch.cat([held["tail"], u], 1)
        u, total = convolve(full, self.kernel.float(), self.convolved(at)), held["sum"].clone()
        segments, sums = self.scanned(at), []
        for t in range(x.shape[1]):
            if segments is not None and t:
                total.mul_((segments[:, t] == segments[:, t - 1])[:, None])
            total.mul_(self.fade(dt[:, t])).add_(dt[:, t] * u[:, t])
            sums.append(total * total.sigmoid())
        rows = [full[b, n : n + KERNEL - 1] for b, n in enumerate(self.counts(at))]
        self.remember(at, total, torch.stack(rows))
        return self.out(torch.stack(sums, 1).to(x.dtype), at)[0]


class InPlace(Module):
    """Honest: changes what it holds in place where no gradient is wanted."""

    def remember(self, at: At, total: Tensor, tail: Tensor) -> None:
        held = at.state()
        if at.slot is not None and not torch.is_grad_enabled():
            held["sum"].copy_(total)
            held["tail"].copy_(tail)
            at.remember(**held)


class CountsTokens(Fading):
    """A state that counts tokens counts calls."""

    def declares(self, site: Site) -> Declared:
        declared = super().declares(site)
        assert declared.slot is not None
        tensors = {**declared.slot.tensors, "clock": (1,)}
        slot = declared.slot.model_copy(update={"tensors": tensors})
        return declared.model_copy(update={"slot": slot})

    def build(self, site: Site) -> Any:
        return Ticking(self, site)
