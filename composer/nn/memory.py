"""What every slot of a cache is to the operations over it: named tensors with the rows of the batch in front.

An operation is written once, over `used` (what of the tensors counts) and `allocate` (tensors of full size);
it need not know what a block keeps in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from math import prod
from typing import Self

import numpy as np
import torch
from torch import Tensor

from composer.block import Slot

from .progress import Progress

Contents = Mapping[str, Tensor]


class Memory:
    """The tensors of one slot, each (B, ...), and what the operations of a cache ask of them."""

    appends: bool = False
    """Whether what was written for a token stays where it is for as long as the token is remembered."""

    slot: Slot
    progress: Progress
    tensors: dict[str, Tensor]
    device: torch.device

    def rows(self, rows: range, end: int) -> Self:
        """The same memory for some neighbouring rows: what is written there is written here.

        `end` is how many tokens the longest row of all will have, for which room is made first.
        """
        self.reserve(end)
        part = copy(self)
        part.tensors = {name: tensor[rows.start : rows.stop] for name, tensor in self.tensors.items()}
        return part

    def reserve(self, end: int) -> None:
        """Make room for rows of up to `end` tokens, where room depends on them."""

    @property
    def nbytes(self) -> int:
        """Bytes allocated."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    def parts(self) -> dict[str, int]:
        """Bytes by what they are for; their sum is `nbytes`."""
        raise NotImplementedError

    def limit(self) -> str | None:
        """What keeps this slot from going back any distance, as a sentence has it; None if nothing does."""
        raise NotImplementedError

    def allocate(self, rows: int, longest: int) -> dict[str, Tensor]:
        """Zeros for so many rows, the longest of so many tokens."""
        raise NotImplementedError

    def used(self, longest: int) -> dict[str, Tensor]:
        """Views of what counts when no row has more than `longest` tokens."""
        raise NotImplementedError

    def forget(self, rows: Sequence[int], kept: Sequence[int], held: Sequence[int]) -> None:
        """Leave nothing of the newest tokens of some rows, which keep `kept[i]` of the `held[i]` they have."""
        raise NotImplementedError

    def clear(self, rows: Iterable[int]) -> None:
        """Leave nothing of these rows behind, not even what is no number."""
        index = list(rows)
        for tensor in self.tensors.values():
            tensor[index] = 0

    def fill(self, contents: Iterable[Contents], longest: int) -> None:
        """Become tensors that hold these rows, one after the other."""
        parts = list(contents)
        rows = sum(len(next(iter(part.values()))) for part in parts)
        fresh = self.allocate(rows, longest)
        first = 0
        for part in parts:
            first = _place(fresh, part, first)
        self.tensors = fresh

    def take(self, index: Tensor, longest: int) -> None:
        """Become the rows named by `index` (B'), in that order; as many as before are moved in place."""
        used = self.used(longest)
        if len(index) != len(next(iter(used.values()))):
            self.fill([{name: view.index_select(0, index) for name, view in used.items()}], longest)
            return
        for view in used.values():
            view.copy_(view.index_select(0, index))

    def copied(self, longest: int) -> dict[str, Tensor]:
        """What counts, in tensors of its own."""
        with torch.inference_mode(False):
            return {name: view.clone() for name, view in self.used(longest).items()}

    def on(self, device: torch.device) -> dict[str, Tensor]:
        """Everything on another device."""
        with torch.inference_mode(False):
            return {name: tensor.to(device) for name, tensor in self.tensors.items()}


def blank_tensor(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros; on a CPU the system clears pages when they are first touched, and what is never used costs nothing."""
    if device.type != "cpu" or 0 in shape:
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.zeros(prod(shape) * dtype.itemsize, np.uint8)).view(dtype).view(shape)


def _place(fresh: Contents, part: Contents, first: int) -> int:
    """Write `part` into the corner of `fresh` that begins at row `first`; the row after it."""
    last = first
    for name, source in part.items():
        last = first + len(source)
        corner = (slice(first, last), *(slice(size) for size in source.shape[1:]))
        fresh[name][corner] = source
    return last
