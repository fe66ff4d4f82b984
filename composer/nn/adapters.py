"""Low-rank additions to linear maps, one for every use of a block; the block knows nothing of them.

B batch, T tokens in this call.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from composer.chain import AdapterPlan

from .linears import Leaf


class Adapter(nn.Module):
    """`scale * up(down(dropout(x)))`, added to the parts of a group that it is for."""

    def __init__(self, plan: AdapterPlan, group: Iterable[str]) -> None:
        super().__init__()
        self.scale, self.dropout = plan.scale, plan.dropout
        (rank,) = plan.down.parts.values()
        self.down = Leaf(plan.down.reads, rank, bias=False)
        self.up = nn.ModuleDict(
            {part: Leaf(rank, width, bias=False) for part, width in plan.up.parts.items()}
        )
        self.order = tuple(group)

    def added(self, x: Tensor, outs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The outputs of the group for x (B, T, reads), with what this adapter adds."""
        low = self.down(F.dropout(x, self.dropout, self.training))
        low = low if self.scale == 1 else low * self.scale
        return tuple(
            out + self.up[part](low) if part in self.up else out
            for part, out in zip(self.order, outs, strict=True)
        )


class AdapterTree(nn.Module):
    """The adapters of one use; children follow the dots of their paths."""

    def put(self, path: str, adapter: Adapter) -> None:
        """Register an adapter under a dotted path."""
        name, _, rest = path.partition(".")
        if not rest:
            self.add_module(name, adapter)
            return
        if name not in self._modules:
            self.add_module(name, AdapterTree())
        child = self._modules[name]
        assert isinstance(child, AdapterTree)
        child.put(rest, adapter)
