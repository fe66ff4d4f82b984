"""Layers that are the same but for their index, folded into runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..chain import LayerPlan
from ..plan import Plan


@dataclass(frozen=True)
class Run:
    """Consecutive equal layers; `layer` is the first of them."""

    layer: LayerPlan
    count: int

    @property
    def first(self) -> int:
        """Index of the first layer."""
        return self.layer.index

    @property
    def last(self) -> int:
        """Index of the last layer."""
        return self.layer.index + self.count - 1


def runs(plan: Plan) -> Iterator[Run]:
    """The layers of a plan in order, neighbours that do not differ told once."""
    start: LayerPlan | None = None
    count = 0
    for layer in plan.layers:
        if start is not None and same(start, layer):
            count += 1
            continue
        if start is not None:
            yield Run(start, count)
        start, count = layer, 1
    if start is not None:
        yield Run(start, count)


def same(one: LayerPlan, other: LayerPlan) -> bool:
    """Whether two layers differ in their index alone."""
    return one == replace(other, index=one.index)
