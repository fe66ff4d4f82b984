"""Whether a checkpoint has the head and the adapters that are wanted, and what becomes of those it has not."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from ..layout.heads import StoredHead
from ..layout.match import of_head
from ..layout.names import folded
from ..layout.rows import WeightMap
from ..nn.build import draw_parameters
from ..nn.model import Model
from ..nn.output import Loading
from ..plan import Plan
from .checkpoint import Checkpoint

LOG = logging.getLogger("composer")


def is_stored(plan: Plan, stored: StoredHead, weights: WeightMap, checkpoint: Checkpoint) -> bool:
    """Whether the head of the plan is the one of the checkpoint, so that its tensors must be there.

    Where the folder does not say, a head over the vocabulary is, and another if any tensor of it is there.
    """
    kind = plan.head.kind
    if kind == "base" or stored.kind not in (None, kind):
        return False
    if stored.kind is not None:
        there = stored.plan(plan.spec, kind)
        return (plan.head.width(0), plan.head.bias) == (there.width(0), there.bias)
    if kind == "causal-lm":
        return True
    rows = [row for name in filter(of_head, plan.parameters()) for row in weights.rows_of(name)]
    return any(name in checkpoint for row in rows for name in row.theirs)


def adapters_of(plan: Plan) -> list[str]:
    """The parameters that are added to linear maps of a model."""
    kinds = ("adapter_down", "adapter_up")
    return [name for name, param in plan.parameters().items() if param.init in kinds]


def finish(
    model: Model,
    device: torch.device,
    folder: Path,
    whole: bool,
    adapters: Collection[str],
    unused: Sequence[str],
) -> Loading:
    """Draw the head and the adapters that the checkpoint has not, and say so.

    What is new and what was not used comes back.
    """
    parameters = model.plan.parameters()
    head = [] if whole else [*filter(of_head, parameters)]
    new = (*adapters, *head)
    draw_parameters(model, {name: parameters[name] for name in new}, device, None)
    if adapters:
        LOG.warning("%s has none of these adapters: new and drawn: %s", folder, ", ".join(folded(adapters)))
    if head:
        rest = f"; not used: {', '.join(folded(unused))}" if unused else ""
        LOG.warning("%s has not this head: new and drawn: %s%s", folder, ", ".join(head), rest)
    return Loading(new, tuple(unused))
