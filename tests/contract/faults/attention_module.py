"""What authors of an attention block get wrong in its module.

The sentence of each class is its row in docs/faults.md.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from composer import Causal, Linears, Site
from composer.nn import At, LinearGroup

from .attention import HEADS, WIDTH, WINDOW, Honest, Module

# ------------------------------------------------------------------ what is declared, and what is built


class Renamed(Module):
    """A group of linears has another name than the declared one."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.output = self.out
        del self.out


class Reordered(Module):
    """Groups of linears stand in another order than the declared one."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        qkv = self.qkv
        del self.qkv
        self.qkv = qkv


class BiasUncounted(Module):
    """The way out has a bias that is missing from the count."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.out = LinearGroup(Linears(reads=HEADS * WIDTH, parts={"o": site.writes}, bias=True))


class Undeclared(Module):
    """A learnt temperature that is not declared."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.temperature = nn.Parameter(torch.ones(1))

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, at: At) -> Tensor:
        return super().mixed(q * self.temperature, k, v, at)


class Buffered(Module):
    """A table of positions is a buffer."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.register_buffer("table", (torch.arange(64) * 0.7).cos(), persistent=False)


class TiesWeights(Module):
    """Queries and keys share one weight under two names."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.qkv.get_submodule("k").weight = self.qkv.get_submodule("q").weight


class ReadsWeights(Module):
    """A scale is computed from the weights when the module is made."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.norm = float(self.qkv.get_parameter("q.weight").detach().norm())


class DrawsItself(Module):
    """A random number is drawn when the module is made, and kept."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.feature = random.uniform(1, 2)

    def scale(self, at: At) -> float:
        return self.feature


class NumpyTable(Module):
    """A table of angles is made by numpy when the module is made, and kept as a tensor."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.table = torch.from_numpy(np.cos(np.arange(256) * 0.7).astype(np.float32))

    def read(self, x: Tensor, at: At) -> Tensor:
        return x + self.table[self.positions(at)][..., None].to(x.dtype)


# ------------------------------------------------------------------ memory


class OneHead(Module):
    """Keys and values of one head are remembered where two are declared."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, at: At) -> Tensor:
        return super().mixed(q, k[:, :1], v[:, :1], at)


class Forgetful(Module):
    """A new `At` is handed to attend, without the slot."""

    def at(self, at: At) -> At:
        return At(at.step)


class PutsTwice(Module):
    """Asks the slot for its keys to look at them, and then attends."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, at: At) -> Tensor:
        return super().mixed(q, k, v, at) + 0 * at.keys(k, v).values[0].mean()


class SkipsWhenAlone(Module):
    """A shortcut for a single token, which sees only itself, forgets the memory."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, at: At) -> Tensor:
        if q.shape[2] > 1:
            return super().mixed(q, k, v, at)
        return v.transpose(1, 2).flatten(2)


# ------------------------------------------------------------------ who sees whom, and where tokens stand


class LooksAhead(Module):
    """The mask lets a token see the one after it."""

    def visible(self) -> Any:
        return lambda query, key: key < query + 2


class LooksFurther(Module):
    """The window is one token wider than `sees` says."""

    def visible(self) -> Any:
        return Causal(WINDOW + 1)


class LooksLessFar(Module):
    """The window is one token narrower than `sees` says."""

    def visible(self) -> Any:
        return Causal(WINDOW - 1)


class StartsAtZero(Module):
    """Positions are counted from the first column of the call."""

    def positions(self, at: At) -> Tensor:
        return torch.arange(at.step.width)[None]


class CountsFromTheEnd(Module):
    """Positions are counted back from the last column."""

    def positions(self, at: At) -> Tensor:
        return torch.arange(at.step.width)[None] - at.step.width


class StartsOfFirstRow(Module):
    """Positions go on from where the first row stands, in all rows."""

    def positions(self, at: At) -> Tensor:
        return torch.arange(at.step.width)[None] + at.step.starts[0]


class StartsOfLongest(Module):
    """A call of one token stands where the longest row stands, in all rows."""

    def positions(self, at: At) -> Tensor:
        return at.step.tensor([[max(at.step.starts)]]) if at.step.width == 1 else at.step.positions


class IgnoresSegments(Module):
    """Positions do not begin anew with a packed sequence."""

    def positions(self, at: At) -> Tensor:
        return at.step.indices


class CountsItself(Module):
    """The tokens seen so far are counted on the slot, beside the cache's own count."""

    def positions(self, at: At) -> Tensor:
        start = getattr(at.slot, "count", 0)
        if at.slot:
            at.slot.count = start + at.step.width  # type: ignore[attr-defined]  # that is the fault
        return at.step.positions if not at.slot else torch.arange(start, start + at.step.width)[None]


class CountsRows(Module):
    """The tokens of each row are counted on the slot, and not taken back when the cache goes back."""

    def positions(self, at: At) -> Tensor:
        if at.slot is None:
            return at.step.positions
        seen = getattr(at.slot, "seen", (0,) * len(at.step.counts))
        at.slot.seen = tuple(map(sum, zip(seen, at.step.counts, strict=True)))  # type: ignore[union-attr]  # the fault
        return at.step.tensor(seen)[:, None] + torch.arange(at.step.width)


class MixesRows(Module):
    """The mean of the batch is subtracted from the stream."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return super().read(x, at) - x.mean(0)
