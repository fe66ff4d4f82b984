"""A small honest attention block, and what authors of such blocks get wrong in the module.

The sentence of each class is its row in docs/faults.md.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer import Block, Causal, Declared, Linears, Site, Slot
from composer.nn import At, LinearGroup, attend

HEADS, WIDTH, WINDOW = 2, 6, 3


class Honest(Block):
    """Attention of two heads in a window of three, with positions of its own."""

    kind: ClassVar[str] = "honest"

    fault: str = Field(default="", description="What is wrong with it.")
    dropout: float = Field(default=0.0, description="Share of attention weights dropped in training.")

    def sees(self, query: Any, key: Any) -> Any:
        """The newest three."""
        return Causal(WINDOW)(query, key)

    def declares(self, site: Site) -> Declared:
        """Three projections in, one out."""
        inner = HEADS * WIDTH
        return Declared(
            linears={
                "qkv": Linears(reads=site.reads, parts=dict.fromkeys("qkv", inner), bias=True),
                "out": Linears(reads=inner, parts={"o": site.writes}),
            },
            slot=Slot(tensors={"k": (HEADS, WIDTH), "v": (HEADS, WIDTH)}, window=WINDOW),
        )

    def flops(self, site: Site, context: int) -> int | None:
        """Scores and weighted values."""
        return 4 * HEADS * WIDTH * min(context, WINDOW)

    def build(self, site: Site) -> Any:
        """The module with the fault."""
        return MODULES.get(self.fault, Module)(self, site)


class Module(nn.Module):
    """The honest module, in pieces that a fault can replace."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__()
        self.o = options
        linears = Honest().declares(site).linears
        self.qkv, self.out = LinearGroup(linears["qkv"]), LinearGroup(linears["out"])

    def positions(self, at: At) -> Tensor:
        """(B or 1, T)."""
        return at.step.positions

    def read(self, x: Tensor, at: At) -> Tensor:
        return x + (self.positions(at) * 0.7).cos()[..., None].to(x.dtype)

    def visible(self) -> Any:
        return Causal(WINDOW)

    def at(self, at: At) -> At:
        return at

    def scale(self, at: At) -> float:
        return 0.5

    def rate(self) -> float:
        return self.o.dropout if self.training else 0.0

    def projected(self, x: Tensor, at: At) -> Any:
        return self.qkv(x, at)

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, at: At) -> Tensor:
        return attend(q, k, v, self.at(at), sees=self.visible(), scale=self.scale(at), dropout=self.rate())

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y

    def forward(self, x: Tensor, at: At) -> Tensor:
        parts = self.projected(self.read(x, at), at)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        return self.write(self.out(self.mixed(q, k, v, at), at)[0], x, at)


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


class MixesRows(Module):
    """The mean of the batch is subtracted from the stream."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return super().read(x, at) - x.mean(0)


# ------------------------------------------------------------------ arithmetic


class Squeezes(Module):
    """A batch of one row loses its first dimension."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y.squeeze(0)


class DoublePositions(Module):
    """Positions are added in float64, and the stream stays that wide."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return x + (self.positions(at).double() * 0.7).cos()[..., None].to(x.dtype)

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y + 1e-9 * self.positions(at).double()[..., None]


class ReturnsFloat(Module):
    """The result is normalised in float32 and not brought back."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y.float() * y.float().square().mean(-1, keepdim=True).add(1).rsqrt()


class SumsInHalf(Module):
    """Squares are summed in the stream's dtype, and scaled after that."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * (y * 256).square().sum(-1, keepdim=True).div(65536).add(1).rsqrt()


class WritesInput(Module):
    """Positions are added into the stream itself."""

    def read(self, x: Tensor, at: At) -> Tensor:
        x += super().read(x, at) - x
        return x


class WithoutScale(Module):
    """Scores are never divided by the root of the width."""

    def scale(self, at: At) -> float:
        return 1.0


class ClampsPositions(Module):
    """Positions end at 40, and all later tokens are taken to stand there."""

    def positions(self, at: At) -> Tensor:
        return at.step.positions.clamp(max=40)


class DetachedNorm(Module):
    """The result is divided by a norm that is kept out of the gradient."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y / y.detach().norm(dim=-1, keepdim=True).add(1)


class Detached(Module):
    """Biases are added through `.data`, which gradients do not follow."""

    def projected(self, x: Tensor, at: At) -> Any:
        parts = self.qkv(x, at)
        biases = [part.bias for part in self.qkv.children()]
        return [y - bias + bias.data for y, bias in zip(parts, biases, strict=True)]


# ------------------------------------------------------------------ chance


class AlwaysDrops(Module):
    """Dropout does not ask whether it trains."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return F.dropout(y, 0.3)


class NeverDrops(Module):
    """The option for dropout is never used."""

    options: ClassVar[dict[str, Any]] = {"dropout": 0.3}

    def rate(self) -> float:
        return 0.0


class Unseeded(Module):
    """The share that is dropped is drawn by Python's own generator."""

    options: ClassVar[dict[str, Any]] = {"dropout": 0.3}

    def rate(self) -> float:
        return random.uniform(0.1, 0.9) if self.training else 0.0


MODULES: dict[str, type[Module]] = {}
"""The classes with faults, by name; filled by the package."""
