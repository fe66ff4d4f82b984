"""The operations of weight rows on numbers: stored tensors seen as ours, and ours put together as stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch

from ..layout.ops import Op


@dataclass(frozen=True)
class Cut:
    """Which part of a stored tensor a parameter is: `size` rows of ours from `start`, of `total`; and how.

    `shape` is that of the parameter.
    """

    shape: tuple[int, ...]
    op: Op | None = None
    start: int = 0
    total: int | None = None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape that the stored tensor must have."""
        whole = self.shape if self.total is None else (self.total, *self.shape[1:])
        return whole if self.op is None else self.op.stored_shape(whole)

    def of(self, stored: torch.Tensor) -> torch.Tensor:
        """Our numbers, without a copy: in our order, of as many elements, perhaps in more dimensions."""
        if self.total is not None:
            stored = stored.narrow(self.op.rows if self.op else 0, self.start, self.shape[0])
        return stored if self.op is None else _seen(self.op, stored)


def _seen(op: Op, stored: torch.Tensor) -> torch.Tensor:
    match op.name:
        case "transpose":
            return stored.T
        case "squeeze":
            return stored.squeeze(int(op.number))
        case "unsqueeze":
            return stored.unsqueeze(int(op.number))
        case "unpair":
            return _heads(stored, int(op.number), 2).transpose(1, 2)


def _heads(tensor: torch.Tensor, rows: int, inner: int) -> torch.Tensor:
    """(heads, rows / inner, inner, ...) of a matrix or a vector whose heads have that many rows."""
    return tensor.view(-1, rows // inner, inner, *tensor.shape[1:])


@dataclass(frozen=True)
class Merged:
    """A tensor to be stored that is made of several of ours when its turn comes."""

    parts: Sequence[torch.Tensor]
    op: Op | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        whole = (sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:])
        return whole if self.op is None else self.op.stored_shape(whole)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of all parts."""
        return self.parts[0].dtype

    @property
    def nbytes(self) -> int:
        """Its bytes."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def is_meta(self) -> bool:
        """Whether a part has no numbers."""
        return any(part.is_meta for part in self.parts)

    def detach(self) -> torch.Tensor:
        """The tensor."""
        parts = [part.detach() for part in self.parts]
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        return whole if self.op is None else _unseen(self.op, whole)


def _unseen(op: Op, ours: torch.Tensor) -> torch.Tensor:
    match op.name:
        case "transpose":
            return ours.T
        case "squeeze":
            return ours.unsqueeze(int(op.number))
        case "unsqueeze":
            return ours.squeeze(int(op.number))
        case "unpair":
            rows = int(op.number)
            return _heads(ours, rows, rows // 2).transpose(1, 2).reshape(ours.shape)
