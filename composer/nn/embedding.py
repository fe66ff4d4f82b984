"""How tokens become the stream: look-up, projection, learned positions.

B batch, T tokens in this call, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.errors import CallError, fail

from .step import Step


def table_of(rows: int, width: int, padding: int | None = None) -> nn.Embedding:
    """A table of vectors; its values come from the builder or from a checkpoint."""
    # A table that draws itself on the meta device brings in the compiler: a second and a half of imports.
    return nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False, padding_idx=padding)


def positions_of(step: Step, table: nn.Embedding, offset: int) -> Tensor:
    """(B or 1, T, D): the learned vector of each token's position.  Raises CallError E719 past the last one."""
    rows = table.num_embeddings - offset
    if step.end() > rows:
        message = f"position {step.end() - 1} is past the last of the {rows} that the model has learned"
        fail(CallError, "E719", message, hint="give shorter texts; learned positions cannot be stretched")
    where = step.positions if step.valid is None else torch.where(step.valid, step.positions, 0)
    if step.position_ids is not None and int(where.min()) < -offset:
        message = f"position_ids begin at {int(where.min())}, the model's at {-offset}"
        fail(CallError, "E719", message, hint="count from 0")
    found: Tensor = table(where + offset)
    return found
