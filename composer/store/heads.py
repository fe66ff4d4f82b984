"""Whether a checkpoint has the head that is wanted, and what becomes of one that it has not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from ..layout.heads import StoredHead
from ..layout.match import of_head
from ..layout.names import folded
from ..layout.rows import WeightMap
from ..nn.build import draw_parameters
from ..nn.model import Loading, Model
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


def finish_head(
    model: Model, device: torch.device, folder: Path, whole: bool, unused: Sequence[str]
) -> Loading:
    """Draw the head that the checkpoint has not, and say so; what is new and what was not used comes back."""
    parameters = model.plan.parameters()
    new = () if whole else tuple(filter(of_head, parameters))
    if new:
        draw_parameters(model, {name: parameters[name] for name in new}, device, None)
        rest = f"; not used: {', '.join(folded(unused))}" if unused else ""
        LOG.warning("%s has not this head: new and drawn: %s%s", folder, ", ".join(new), rest)
    return Loading(new, tuple(unused))
