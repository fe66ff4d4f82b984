"""A small honest gated feed-forward block, and what authors of such blocks get wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer import Block, Declared, Linears, Site
from composer.nn import At, LinearGroup

WIDTH = 7


class Gated(Block):
    """Up, activated and gated, down; each token for itself."""

    kind: ClassVar[str] = "gated"

    fault: str = Field(default="", description="What is wrong with it.")
    dropout: float = Field(default=0.0, description="Share of what is inside dropped in training.")

    def declares(self, site: Site) -> Declared:
        """Two projections up, one down."""
        return Declared(
            linears={
                "up": Linears(reads=site.reads, parts={"gate": WIDTH, "up": WIDTH}),
                "down": Linears(reads=WIDTH, parts={"down": site.writes}),
            }
        )

    def sees(self, query: Any, key: Any) -> Any:
        """Itself."""
        return query == key

    def flops(self, site: Site, context: int) -> int | None:
        """None beyond the linears."""
        return 0

    def build(self, site: Site) -> Any:
        """The module with the fault."""
        return MODULES.get(self.fault, Module)(self, site)


class Module(nn.Module):
    """The honest module, in pieces that a fault can replace."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: Gated, site: Site) -> None:
        super().__init__()
        self.o = options
        for name, linears in options.declares(site).linears.items():
            self.add_module(name, LinearGroup(linears))

    def read(self, x: Tensor, at: At) -> Tensor:
        return x

    def inner(self, gate: Tensor, up: Tensor) -> Tensor:
        return F.silu(gate) * up

    def forward(self, x: Tensor, at: At) -> Tensor:
        gate, up = self.get_submodule("up")(self.read(x, at), at)
        y = F.dropout(self.inner(gate, up), self.o.dropout, self.training)
        return self.get_submodule("down")(y, at)[0]


class ForgetsSees(Gated):
    """`sees` is left as it is by default, though each token sees only itself."""

    def sees(self, query: Any, key: Any) -> Any:
        return Block.sees(self, query, key)


class NormOverBatch(Module):
    """The stream is normalised over all tokens of the batch."""

    def read(self, x: Tensor, at: At) -> Tensor:
        flat = x.flatten(0, 1)
        return ((flat - flat.mean(0)) / flat.var(0, correction=0).add(1e-5).sqrt()).view_as(x)


class NormOverRows(Module):
    """The stream is divided by its size over the rows of the batch."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return x * x.square().mean(0, keepdim=True).add(1).rsqrt()


class MeanOverTokens(Module):
    """The mean of the whole row is added to every token."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return x + x.mean(1, keepdim=True)


class CachesMean(Module):
    """A running mean of earlier tokens is added, though no slot is declared to carry it on."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return x + x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]


class CausalMean(Gated):
    """A running mean of earlier tokens is added, though no slot is declared to carry it on."""

    def sees(self, query: Any, key: Any) -> Any:
        return Block.sees(self, query, key)

    def build(self, site: Site) -> Any:
        return CachesMean(self, site)


class ReadsStream(Module):
    """The stream is read where the step holds it, and not from the argument, which adapters and guests reach."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return 0.5 * x + 0.5 * at.step.embedded[..., : x.shape[-1]]


class GatesInPlace(Module):
    """The gate is multiplied in place into what the activation needs for its gradient."""

    def inner(self, gate: Tensor, up: Tensor) -> Tensor:
        shaped = gate.sigmoid()
        return shaped.mul_(gate).mul_(up)


class Rounds(Module):
    """What is inside is rounded to eighths, without a gradient of its own."""

    def inner(self, gate: Tensor, up: Tensor) -> Tensor:
        y = super().inner(gate, up)
        return y + ((y * 8).round() / 8 - y).detach()


class SwapsGate(Module):
    """Gate and value are exchanged."""

    def inner(self, gate: Tensor, up: Tensor) -> Tensor:
        return F.silu(up) * gate


MODULES: dict[str, type[Module]] = {}
"""The classes with faults, by name; filled by the package."""
