"""A small honest attention block, in pieces that a fault can replace."""

from __future__ import annotations

from typing import Any, ClassVar

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


MODULES: dict[str, type[Module]] = {}
"""The classes with faults, by name; filled by the package."""
