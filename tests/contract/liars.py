"""A small honest block, and the many ways in which a block can fail to be what it declares.

`LIES` names the check that each lie is made for and whatever else it must break.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer import Block, Causal, Declared, Linears, Param, Site, Slot
from composer.nn import At, LinearGroup, attend

HEADS, WIDTH, WINDOW = 2, 6, 3


class Honest(Block):
    """Attention of two heads in a window of three, with positions of its own."""

    kind: ClassVar[str] = "honest"

    lie: str = Field(default="", description="What is wrong with it.")
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
        """The module that tells the lie."""
        return MODULES.get(self.lie, Module)(self, site)


class Module(nn.Module):
    """The honest module, in pieces that a lie can replace."""

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

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y

    def forward(self, x: Tensor, at: At) -> Tensor:
        parts = self.qkv(self.read(x, at), at)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        y = attend(q, k, v, self.at(at), sees=self.visible(), scale=self.scale(at), dropout=self.rate())
        return self.write(self.out(y, at)[0], x, at)


# ------------------------------------------------------------------ lies told by the module


class LooksAhead(Module):
    def visible(self) -> Any:
        return lambda query, key: key < query + 2


class LooksFurther(Module):
    def visible(self) -> Any:
        return Causal(WINDOW + 1)


class LooksLessFar(Module):
    def visible(self) -> Any:
        return Causal(WINDOW - 1)


class Renamed(Module):
    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.output = self.out
        del self.out


class Reordered(Module):
    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        qkv = self.qkv
        del self.qkv
        self.qkv = qkv


class Narrower(Module):
    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.out = LinearGroup(Linears(reads=HEADS * WIDTH, parts={"o": site.writes - 1}))


class Buffered(Module):
    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.register_buffer("table", torch.arange(64), persistent=False)


class OneHead(Module):
    """Remembers one head where two are declared; both then read the same."""

    def forward(self, x: Tensor, at: At) -> Tensor:
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(self.read(x, at), at))
        y = attend(q, k[:, :1], v[:, :1], at, sees=self.visible(), scale=0.5)
        return self.out(y, at)[0]


class Forgetful(Module):
    def at(self, at: At) -> At:
        return At(at.step)


class WritesInput(Module):
    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        x.zero_()
        return y


class AlwaysDrops(Module):
    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return F.dropout(y, 0.3)


class NeverDrops(Module):
    def rate(self) -> float:
        return 0.0


class Noisy(Module):
    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y + 0.1 * torch.randn_like(y) if self.training else y


class Unseeded(Module):
    def rate(self) -> float:
        return random.uniform(0.1, 0.9) if self.training else 0.0


class Accumulates(Module):
    total: Any = 0.0

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        self.total = self.total + float(y.detach().mean())
        return y + self.total


class CountsItself(Module):
    """Keeps its own count of the tokens seen, beside the cache's."""

    def positions(self, at: At) -> Tensor:
        start = getattr(at.slot, "count", 0)
        if at.slot:
            at.slot.count = start + at.step.width  # type: ignore[attr-defined]  # that is the lie
        return at.step.positions if not at.slot else torch.arange(start, start + at.step.width)[None]


class StartsAtZero(Module):
    def positions(self, at: At) -> Tensor:
        return torch.arange(at.step.width)[None]


class CountsFromTheEnd(Module):
    def positions(self, at: At) -> Tensor:
        return torch.arange(at.step.width)[None] - at.step.width


class IgnoresSegments(Module):
    def positions(self, at: At) -> Tensor:
        return at.step.indices


class MixesRows(Module):
    def read(self, x: Tensor, at: At) -> Tensor:
        return super().read(x, at) + x.mean(0)


class ReturnsFloat(Module):
    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y.float()


class ReturnsDouble(Module):
    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y.double()


class Overflows(Module):
    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * 1e5 / 1e5


class DrawsItsScale(Module):
    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.drawn = random.uniform(1, 2)

    def scale(self, at: At) -> float:
        return self.drawn


class HoldsTensor(Module):
    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.table = torch.full((1,), 2.0, device="cpu")

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * self.table.to(y.dtype)


class Detached(Module):
    def read(self, x: Tensor, at: At) -> Tensor:
        bias = self.qkv.get_parameter("q.bias").detach()
        return super().read(x, at) + bias.mean()

    def forward(self, x: Tensor, at: At) -> Tensor:
        parts = [F.linear(self.read(x, at), p.weight, p.bias.detach()) for p in self.qkv.children()]
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        return self.out(attend(q, k, v, at, sees=self.visible(), scale=0.5), at)[0]


class KeepsCopy(Module):
    """Packs its own weights at the first call and never notices others."""

    packed: Any = None

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        if self.packed is None:
            self.packed = self.out.get_parameter("o.weight").detach().double().mean().item()
        return y + self.packed


class CallsParts(Module):
    """Runs the parts of a group one by one, past what the host adds to them."""

    def forward(self, x: Tensor, at: At) -> Tensor:
        parts = [part(self.read(x, at)) for part in self.qkv.children()]
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        return self.out(attend(q, k, v, at, sees=self.visible(), scale=0.5), at)[0]


class KernelDependent(Module):
    def scale(self, at: At) -> float:
        return 0.25 if at.step.attention == "reference" else 0.5


class Compiled(Module):
    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * 2 if torch.compiler.is_compiling() else y


class Raises(Module):
    """Fails in every call."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * (1 / 0)


# ------------------------------------------------------------------ lies told by the options


class Gained(Module):
    """Honest: it has a parameter of its own beside its linears."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.gain = nn.Parameter(torch.empty(3))

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * self.gain.mean()


class SaysInit(Honest):
    """One of its parameters is of a kind that no spec can name."""

    def declares(self, site: Site) -> Declared:
        return super().declares(site).model_copy(update={"params": {"gain": Param(shape=(3,), init="Gain?")}})

    def build(self, site: Site) -> Any:
        return Gained(self, site)


class SaysFewerFlops(Honest):
    """Counts all keys where a window hides most."""

    def flops(self, site: Site, context: int) -> int | None:
        return 4 * HEADS * WIDTH * context


class SaysNoSlot(Honest):
    """Attends to earlier tokens but wants to remember none."""

    def declares(self, site: Site) -> Declared:
        return super().declares(site).model_copy(update={"slot": None})


class SaysSlotOfMore(Honest):
    """Declares tensors that it does not remember."""

    def declares(self, site: Site) -> Declared:
        slot = Slot(tensors=dict.fromkeys(("k", "v", "w"), (HEADS, WIDTH)), window=WINDOW)
        return super().declares(site).model_copy(update={"slot": slot})


class SaysShorterWindow(Honest):
    """Asks for a ring that holds less than it looks at."""

    def declares(self, site: Site) -> Declared:
        slot = Slot(tensors=dict.fromkeys("kv", (HEADS, WIDTH)), window=WINDOW - 1)
        return super().declares(site).model_copy(update={"slot": slot})


class SaysFuture(Honest):
    """Claims to see everything."""

    def sees(self, query: Any, key: Any) -> Any:
        return (key == key) & (query == query)


class SaysNothing(Honest):
    """An option without a description."""

    gain: float = 1.0


class LosesOption(Honest):
    """An option that is not written down with the others."""

    gain: float = Field(default=1.0, description="A factor.", exclude=True)


class SettlesAgain(Honest):
    """Every settling changes it."""

    gain: float = Field(default=1.0, description="A factor.")

    def settle(self, site: Site) -> SettlesAgain:
        return self.model_copy(update={"gain": self.gain * 2})


MODULES: dict[str, type[Module]] = {each.__name__: each for each in Module.__subclasses__()}
OPTIONS: dict[str, type[Honest]] = {each.__name__: each for each in Honest.__subclasses__()}
