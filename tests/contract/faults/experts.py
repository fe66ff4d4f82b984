"""A small honest mixture of experts, and what authors of such blocks get wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer import Block, Declared, Linears, Param, Site
from composer.nn import At, LinearGroup

EXPERTS, CHOSEN, WIDTH = 4, 2, 5


class Experts(Block):
    """Each token goes to two of four experts."""

    kind: ClassVar[str] = "experts"

    fault: str = Field(default="", description="What is wrong with it.")

    def declares(self, site: Site) -> Declared:
        """A router, a bias of its choice, and two matrices an expert."""
        return Declared(
            params={
                "balance": Param(shape=(EXPERTS,), init="bias"),
                "up": Param(shape=(EXPERTS, WIDTH, site.reads)),
                "down": Param(shape=(EXPERTS, site.writes, WIDTH)),
            },
            linears={"router": Linears(reads=site.reads, parts={"scores": EXPERTS})},
        )

    def sees(self, query: Any, key: Any) -> Any:
        """Itself."""
        return query == key

    def flops(self, site: Site, context: int) -> int | None:
        """Two experts."""
        return 2 * CHOSEN * WIDTH * (site.reads + site.writes)

    def build(self, site: Site) -> Any:
        """The module with the fault."""
        return MODULES.get(self.fault, Module)(self, site)


class Module(nn.Module):
    """The honest module, in pieces that a fault can replace."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: Experts, site: Site) -> None:
        super().__init__()
        self.balance = nn.Parameter(torch.empty(EXPERTS))
        self.up = nn.Parameter(torch.empty(EXPERTS, WIDTH, site.reads))
        self.down = nn.Parameter(torch.empty(EXPERTS, site.writes, WIDTH))
        self.router = LinearGroup(options.declares(site).linears["router"])

    def scores(self, x: Tensor, at: At) -> Tensor:
        """(B, T, E), positive, in float32."""
        return (self.router(x, at)[0].float() + self.balance.float()).softmax(-1)

    def choice(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, 2) each: weights and experts."""
        weights, experts = scores.topk(CHOSEN)
        return weights / weights.sum(-1, keepdim=True), experts

    def tokens(self, hit: Tensor, scores: Tensor) -> Tensor:
        """(n,): which of (B * T) tokens go to an expert."""
        return hit.flatten(0, 1).any(-1).nonzero()[:, 0]

    def add(self, out: Tensor, where: Tensor, more: Tensor) -> Tensor:
        return out.index_add(0, where, more)

    def forward(self, x: Tensor, at: At) -> Tensor:
        scores = self.scores(x, at)
        weights, experts = self.choice(scores)
        flat, out = x.flatten(0, 1), torch.zeros_like(x[..., :1]).flatten(0, 1) * self.down[0, :, 0]
        for expert in range(EXPERTS):
            hit = experts == expert
            where = self.tokens(hit, scores)
            if len(where):
                weight = (weights * hit).sum(-1).flatten()[where, None].to(x.dtype)
                inner = F.silu(F.linear(flat[where], self.up[expert]))
                out = self.add(out, where, weight * F.linear(inner, self.down[expert]))
        return out.unflatten(0, x.shape[:2])


class CountsAllExperts(Experts):
    """FLOPs are those of all experts, where each token meets two."""

    def flops(self, site: Site, context: int) -> int | None:
        return 2 * EXPERTS * WIDTH * (site.reads + site.writes)


class DeclaresChosen(Experts):
    """Only as many experts are declared as a token meets."""

    def declares(self, site: Site) -> Declared:
        declared = super().declares(site)
        up = Param(shape=(CHOSEN, WIDTH, site.reads))
        return declared.model_copy(update={"params": {**declared.params, "up": up}})


class SoftmaxOverTokens(Module):
    """The softmax of the router runs over tokens instead of experts."""

    def scores(self, x: Tensor, at: At) -> Tensor:
        return (self.router(x, at)[0].float() + self.balance.float()).softmax(1)


class SoftmaxOverRows(Module):
    """The softmax of the router runs over the rows of the batch."""

    def scores(self, x: Tensor, at: At) -> Tensor:
        return (self.router(x, at)[0].float() + self.balance.float()).softmax(0)


class Capacity(Module):
    """An expert takes the first tokens of the batch up to its share, and drops the others."""

    def tokens(self, hit: Tensor, scores: Tensor) -> Tensor:
        where = super().tokens(hit, scores)
        return where[: max(1, hit.shape[0] * hit.shape[1] * CHOSEN // EXPERTS)]


class ExpertsChoose(Module):
    """Experts choose their tokens, later ones against earlier ones."""

    def tokens(self, hit: Tensor, scores: Tensor) -> Tensor:
        count = max(1, hit.shape[0] * hit.shape[1] * CHOSEN // EXPERTS)
        return torch.arange(hit.shape[0] * hit.shape[1])[scores.flatten(0, 1).amax(-1).topk(count).indices]


class DetachedWeights(Module):
    """The weights of the chosen experts are detached with the choice."""

    def choice(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = super().choice(scores.detach())
        return weights, experts


class DetachedSum(Module):
    """The sum that weights are divided by is kept out of the gradient."""

    def choice(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = scores.topk(CHOSEN)
        return weights / weights.sum(-1, keepdim=True).detach(), experts


class Jitter(Module):
    """Noise is added to the router's input in training, and no option says so."""

    def scores(self, x: Tensor, at: At) -> Tensor:
        return super().scores(x * (1 + 0.1 * torch.randn_like(x)) if self.training else x, at)


class Balances(Module):
    """Calls in training move a bias of the choice towards experts that were left out."""

    def choice(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = super().choice(scores)
        if self.training:
            met = F.one_hot(experts, EXPERTS).float().mean((0, 1, 2))
            self.balance.data += 0.1 * (1 / EXPERTS - met)
        return weights, experts


class Overwrites(Module):
    """What an expert returns overwrites what others returned for the token."""

    def add(self, out: Tensor, where: Tensor, more: Tensor) -> Tensor:
        return out.index_copy(0, where, more)


class RoutesInHalf(Module):
    """The router rounds its scores to bfloat16 before it chooses."""

    def scores(self, x: Tensor, at: At) -> Tensor:
        return super().scores(x, at).bfloat16().float()


class NotNormalised(Module):
    """Weights of the chosen experts do not sum to one."""

    def choice(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = scores.topk(CHOSEN)
        return weights, experts


MODULES: dict[str, type[Module]] = {}
"""The classes with faults, by name; filled by the package."""
