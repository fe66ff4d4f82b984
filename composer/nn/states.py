"""Recurrent slots: tensors of a fixed shape that a block carries from token to token.

B batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from composer.block import Slot

from .memory import Memory
from .progress import Progress


class States(Memory):
    """The tensors of one `recurrent` slot: (B, *shape) float32 for each name, zero before the first token."""

    def __init__(self, slot: Slot, progress: Progress, device: torch.device) -> None:
        self.slot, self.progress, self.device = slot, progress, device
        self.tensors = self.allocate(len(progress.lengths), 0)

    def parts(self) -> dict[str, int]:
        """All bytes are those of the state."""
        return {"state": self.nbytes}

    def limit(self) -> str | None:
        """Every token changes all of it."""
        return "is a state"

    def longest(self, progress: Progress) -> int:
        """The state has one size."""
        return 0

    def allocate(self, rows: int, longest: int) -> dict[str, Tensor]:
        """The state of rows that have seen nothing."""
        with torch.inference_mode(False):  # a cache that is made in that mode may be used outside it
            return zeros(self.slot, rows, self.device)

    def used(self, longest: int) -> dict[str, Tensor]:
        """All of it."""
        return self.tensors

    def write(self, new: Mapping[str, Tensor]) -> None:
        """Keep what a block hands back; a tensor that was changed in place is already here."""
        for name, held in self.tensors.items():
            if new[name] is not held:
                held.copy_(new[name])


def zeros(slot: Slot, batch: int, device: torch.device) -> dict[str, Tensor]:
    """The state of rows that have seen nothing."""
    return {
        name: torch.zeros(batch, *shape, dtype=torch.float32, device=device)
        for name, shape in slot.tensors.items()
    }
