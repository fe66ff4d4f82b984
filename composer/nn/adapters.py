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
        self.up = nn.Module()  # no ModuleDict: a part may be called keys
        for part, width in plan.up.parts.items():
            self.up.add_module(part, Leaf(rank, width, bias=False))
        self.order = tuple(group)

    def added(self, x: Tensor, outs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The outputs of the group for x (B, T, reads), with what this adapter adds."""
        low = self.down(F.dropout(x, self.dropout, self.training))
        low = low if self.scale == 1 else low * self.scale
        ups = self.up._modules
        return tuple(
            out if (up := ups.get(part)) is None else out + up(low)
            for part, out in zip(self.order, outs, strict=True)
        )


def put(tree: nn.Module, path: str, adapter: Adapter) -> None:
    """Register an adapter under a dotted path: children follow the dots."""
    *inner, last = path.split(".")
    for name in inner:
        child = tree._modules.get(name)
        if child is None:
            tree.add_module(name, child := nn.Module())
        tree = child
    tree.add_module(last, adapter)
