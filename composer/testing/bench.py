"""One block in a model of one layer, and the ways to run it.

B batch, T tokens, W width of the stream: the wider of what the block reads and writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from composer.block import Block, Norm, Site
from composer.chain import BranchPlan, Chain, LayerPlan, MixerPlan
from composer.nn import At, HybridCache, Model, build
from composer.plan import EmbeddingPlan, HeadPlan, Plan, Sizes
from composer.spec import BlockEntry, Draw, Spec

LONG = 256
"""Tokens of a text that goes over the chunks that blocks compute in."""

PADS = 100
"""Seed of what pads hold, and tokens that will be forgotten: nothing that any row says."""


class Bench:
    """A settled block at its site; every model made here computes exactly what the block returns."""

    def __init__(self, block: Block, site: Site) -> None:
        self.block, self.site = block, site
        self.declared = block.declares(site)
        self.width = max(site.reads, site.writes)

    @property
    def window(self) -> int:
        """How far back the block's memory is bounded, 0 when it is not."""
        return (self.declared.slot.window if self.declared.slot else None) or 0

    @property
    def tokens(self) -> int:
        """A length that goes well past a short window."""
        return min(2 * self.window, 40) + 11

    @property
    def long(self) -> bool:
        """Whether a long text may stand here."""
        return (self.site.max_position_embeddings or LONG) >= LONG

    def plan_with(self, init: Mapping[str, Draw]) -> Plan:
        """The same plan with other draws."""
        return replace(self.plan, init=init)

    @cached_property
    def plan(self) -> Plan:
        """The block alone in one layer: no norm, no residual, no head; weights wide enough to matter."""
        norm = Norm(kind="rms", eps=1e-5)
        mixer = MixerPlan("mixer", "block", self.block, self.site, self.declared)
        branch = BranchPlan((mixer,), residual=0.0, reads=self.width, writes=self.width)
        return Plan(
            name="contract",
            sizes=Sizes(1, self.width, self.site.max_position_embeddings, self.width),
            embedding=EmbeddingPlan(),
            norm=norm,
            layers=(LayerPlan(0, "block", Chain(self.width, (branch,))),),
            head=HeadPlan("base", tied=False, bias=False),
            init=self._wide(),
            spec=Spec(
                composer=1,
                name="contract",
                vocab_size=1,
                hidden_size=self.width,
                norm=norm,
                pattern="block",
                blocks={"block": BlockEntry(kind=self.block.kind)},
            ),
        )

    def _wide(self) -> dict[str, Draw]:
        """Draws under which every parameter shows in the output."""
        kinds = {param.init for _, param in self.declared.parameters()} | {"embedding", "norm"}
        wide = Draw(distribution="normal", spread=self.site.reads**-0.5)
        return {kind: wide.model_copy(update={"mean": 1.0 if kind == "norm" else 0.0}) for kind in kinds}

    def model(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> Model:
        """The one-layer model, drawn under a seed, in evaluation mode."""
        return self.bare(build(self.plan, dtype=dtype, seed=seed))

    def bare(self, model: Model) -> Model:
        """A model of this plan whose output is the block's own."""
        model.add_module("norm", nn.Identity())
        mixer = self.mixer(model)
        mixer.register_forward_pre_hook(lambda _, given: (self.read(given[0], given[1]), *given[1:]))
        missing = self.width - self.site.writes
        if missing:
            mixer.register_forward_hook(lambda _, given, out: nn.functional.pad(out, (0, missing)))
        return model

    def read(self, x: Tensor, at: At) -> Tensor:
        """(B, T, reads) as the block gets it: a model holds anything at pads, so there is noise here."""
        x, valid = -x[..., : self.site.reads], at.step.valid
        if valid is None:
            return x
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(PADS))
        return torch.where(valid[..., None], x, noise.to(x))

    @staticmethod
    def mixer(model: Model) -> nn.Module:
        """The module of the block."""
        return model.get_submodule("layers.0.mixer")

    def input(self, rows: int, tokens: int, seed: int = 0) -> Tensor:
        """(rows, tokens, W) of unit normal values."""
        return torch.randn(rows, tokens, self.width, generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def run(self, model: Model, x: Tensor, **call: Any) -> Tensor:
        """(B, T, W): what the block returns for the stream x, which is left as it is."""
        return self.returned(model, x, **call)

    def returned(self, model: Model, x: Tensor, **call: Any) -> Tensor:
        """The same, with gradients; the embedding is another stream than what the block reads, as it is in a model."""
        out = model(inputs_embeds=-x, **call).last_hidden_state
        assert out is not None
        return out

    def fed(self, model: Model, x: Tensor, sizes: Iterable[int], cache: HybridCache | None = None) -> Tensor:
        """The same as `run`, in calls of the given sizes that continue a cache, a new one if none is given."""
        cache = cache or model.new_cache(len(x))
        parts = x.split([size for size in sizes if size], 1)
        return torch.cat([self.run(model, part, past_key_values=cache) for part in parts], 1)


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or ["no message"])[0]
