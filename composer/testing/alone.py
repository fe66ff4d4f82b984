"""A block by itself, to be compared with a reference.

B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from composer.block import Block, Site
from composer.nn import HybridCache
from composer.nn.states import States

from .bench import Bench
from .running import settled


class Alone(nn.Module):
    """(B, T, reads) to (B, T, writes) through a block and nothing else, with the host's caches and packing."""

    def __init__(self, bench: Bench, seed: int) -> None:
        super().__init__()
        self.bench, self.model = bench, bench.model(seed)

    @property
    def block(self) -> nn.Module:
        """The block's own module, whose parameters have the declared names."""
        return self.bench.mixer(self.model)

    def forward(self, x: Tensor, cache: HybridCache | None = None, **call: Any) -> Tensor:
        """What the block returns, in the caller's places; `call` is what a model takes: attention_mask, segment_ids."""
        site = self.bench.site
        wide = F.pad(x, (0, self.bench.width - site.reads))
        return self.bench.returned(self.model, wide, past_key_values=cache, **call)[..., : site.writes]

    def new_cache(self, rows: int, **options: Any) -> HybridCache:
        """Memory for some rows, as `Model.new_cache` makes it."""
        return self.model.new_cache(rows, **options)

    def states(self, cache: HybridCache) -> dict[str, Tensor]:
        """(B, *shape) for each name of a recurrent slot: what a cache holds now."""
        slot = cache.slots[0]["mixer"]
        assert isinstance(slot, States), "the block declares another kind of slot"
        return {name: held.clone() for name, held in slot.read().items()}


def alone(block: Block, site: Site, weights: Mapping[str, Tensor] | None = None, seed: int = 0) -> Alone:
    """A block with these weights, or drawn so wide that each shows, in float32 and evaluation mode.

    Raises PluginError E412 if the options cannot stand at the site, RuntimeError if weights are not as declared.
    """
    found = Alone(settled(block, site), seed).eval()
    if weights is not None:
        found.block.load_state_dict(dict(weights))
    return found
