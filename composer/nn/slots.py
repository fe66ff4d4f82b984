"""Slots: the tensors that a block's declared memory lives in, and what a call may look at.

A ring of capacity C holds at slot s the position `last - (last - s) % C`; nothing else is stored about it.

B batch, T tokens in this call, S tokens looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from composer.block import Slot

from .memory import Memory, blank_tensor
from .progress import Progress
from .step import Step


@dataclass(frozen=True)
class Keys:
    """What a call may look at: the keys of its own tokens and those remembered, in any order.

    `values` are (B, heads, S, dim) each, one for each tensor given to `At.keys`.  `positions(step)` gives
    (B or 1, S): which token of its row each key is, counted as `Step.indices` does, negative where there is no
    key.  A mask needs nothing else; the rest spares kernels one.  `oldest` is the first token that is among the
    keys, where all rows hold the same tokens and none is missing, else None.  `ordered` says that the keys lie
    in the order of their tokens, so that key j is token `oldest + j`.  `where` is a name for these positions,
    equal for slots that hold the same ones, under which a mask can be kept with `Step.once`.
    """

    values: tuple[Tensor, ...]
    where: tuple[str | int, ...]
    make: Callable[[], Tensor]
    oldest: int | None = None
    ordered: bool = False

    def positions(self, step: Step) -> Tensor:
        """(B or 1, S), made once for all slots that hold the same positions."""
        return step.once(self.where, self.make)


def ordered(step: Step, values: tuple[Tensor, ...], oldest: int) -> Keys:
    """Keys of alike rows, in the order of their positions."""
    end = oldest + values[0].shape[2]
    return Keys(
        values,
        ("ordered", oldest, end),
        lambda: torch.arange(oldest, end, device=step.device)[None],
        oldest,
        True,
    )


def own_keys(step: Step, values: tuple[Tensor, ...]) -> Keys:
    """The keys of this very call, where nothing earlier is remembered."""
    if step.start is not None:
        return ordered(step, values, step.start)
    return Keys(values, ("own",), lambda: real_indices(step))


def real_indices(step: Step) -> Tensor:
    """(B, T) row index of each token of this call, -1 for pads."""
    indices = step.indices
    return indices if step.valid is None else torch.where(step.valid, indices, -1)


class KeyValues(Memory):
    """The tensors of one `kv` slot: (B, heads, capacity, dim) each, a ring when it has a window."""

    def __init__(
        self,
        slot: Slot,
        progress: Progress,
        max_length: int | None,
        rollback: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.slot, self.progress, self.rollback = slot, progress, rollback
        self.max_length, self.dtype, self.device = max_length, dtype, device
        self.appends = slot.window is None
        room = slot.capacity(max_length or 0, rollback)
        self.tensors = self._zeros(len(progress.lengths), room)

    @property
    def capacity(self) -> int:
        """Tokens a row has room for."""
        return next(iter(self.tensors.values())).shape[2]

    def parts(self) -> dict[str, int]:
        """All bytes are those of tokens."""
        return {"kv" if self.slot.window is None else "ring": self.nbytes}

    def limit(self) -> str | None:
        """A ring overwrites its oldest tokens."""
        return None if self.slot.window is None else "is a ring"

    def allocate(self, rows: int, longest: int) -> dict[str, Tensor]:
        """Zeros for so many rows, the longest of so many tokens."""
        if self.max_length is not None:
            return self._zeros(rows, self.slot.capacity(self.max_length, self.rollback))
        return self._zeros(rows, max(self.capacity, self.slot.capacity(longest, self.rollback)))

    def used(self, longest: int) -> dict[str, Tensor]:
        """The buffer up to the longest row; all of a ring that is full: before, position p is at p in it too."""
        return {name: tensor[:, :, :longest] for name, tensor in self.tensors.items()}

    def forget(self, rows: Sequence[int], kept: Sequence[int], held: Sequence[int]) -> None:
        """No trace of them: what is no number would show through any mask."""
        for tensor in self.tensors.values():
            blank(tensor, 2, rows, kept, held)

    def _zeros(self, rows: int, room: int) -> dict[str, Tensor]:
        with torch.inference_mode(False):  # a cache that is made in that mode may be used outside it
            return {
                name: blank_tensor((rows, shape[0], room, *shape[1:]), self.dtype, self.device)
                for name, shape in self.slot.tensors.items()
            }

    def _buffers(self) -> tuple[Tensor, ...]:
        return tuple(self.tensors.values())

    def put(self, step: Step, values: tuple[Tensor, ...]) -> Keys:
        """Remember this call's values and return what its tokens may look at."""
        end = step.ends
        self.reserve(end)
        if self.slot.window is None:
            return self._put_full(step, values, end)
        return self._put_ring(step, values, end, self.slot.window)

    def reserve(self, end: int) -> None:
        """Grow, by doubling, where no length was declared."""
        if self.max_length is not None or self.slot.capacity(end, self.rollback) <= self.capacity:
            return
        grown = self._zeros(
            len(next(iter(self.tensors.values()))), self.slot.capacity(max(64, 2 * end), self.rollback)
        )
        for name, old in self.tensors.items():
            grown[name][:, :, : self.capacity] = old
        self.tensors = grown

    def _put_full(self, step: Step, values: tuple[Tensor, ...], end: int) -> Keys:
        if step.start is not None:
            for buffer, value in zip(self._buffers(), values, strict=True):
                buffer[:, :, step.start : end] = value
        else:
            self._scatter(step, values)
        held = tuple(buffer[:, :, :end] for buffer in self._buffers())
        if (
            step.start is not None
        ):  # also of a first call: kernels read the buffer faster than the projections
            return ordered(step, held, 0)
        if not any(step.starts):
            return own_keys(step, values)
        return Keys(held, ("held",), lambda: held_positions(step, end))

    def _put_ring(self, step: Step, values: tuple[Tensor, ...], end: int, window: int) -> Keys:
        room = self.capacity
        if end <= room:  # the ring has not turned yet: it is a plain buffer
            return self._put_full(step, values, end)
        if step.width > room - (window - 1):  # writing first would lose keys that its first token sees
            keys = self._joined(step, values)
            self._scatter(step, values)
            return keys
        self._scatter(step, values)
        oldest = None if step.start is None else end - room
        return Keys(self._buffers(), ("ring", room), lambda: ring_positions(step, room, counted=True), oldest)

    def _joined(self, step: Step, values: tuple[Tensor, ...]) -> Keys:
        """A chunk longer than the slack: what the ring still offers, in order, followed by the chunk."""
        if not any(step.starts):
            return own_keys(step, values)
        room = self.capacity
        if step.start is None:
            joined = tuple(torch.cat(pair, dim=2) for pair in zip(self._buffers(), values, strict=True))
            return Keys(
                joined,
                ("joined", room),
                lambda: torch.cat([ring_positions(step, room), real_indices(step)], dim=1),
            )
        start = step.start
        kept = min(start, room)
        order = step.once(
            ("order", room), lambda: torch.arange(start - kept, start, device=step.device) % room
        )
        joined = tuple(
            torch.cat([buffer.index_select(2, order), value], dim=2)
            for buffer, value in zip(self._buffers(), values, strict=True)
        )
        return ordered(step, joined, start - kept)

    def _scatter(self, step: Step, values: tuple[Tensor, ...]) -> None:
        """Write the real tokens of each row, the newest that fit, to `position % capacity`."""
        room = self.capacity
        if step.start is not None:
            first = max(0, step.width - room)
            where = step.once(("slots", room), lambda: step.indices[0, first:] % room)
            for buffer, value in zip(self._buffers(), values, strict=True):
                buffer.index_copy_(2, where, value[:, :, first:].to(buffer.dtype))
            return
        rows, tokens, slots = step.once(("scatter", room), lambda: scatter_plan(step, room))
        for buffer, value in zip(self._buffers(), values, strict=True):
            buffer.transpose(1, 2)[rows, slots] = value.transpose(1, 2)[rows, tokens].to(buffer.dtype)


def held_positions(step: Step, end: int) -> Tensor:
    """(B, end): position j where row b has reached it after this call, else -1."""
    reached = step.tensor([start + count for start, count in zip(step.starts, step.counts, strict=True)])
    held = torch.arange(end, device=step.device).expand(len(step.starts), end)
    return torch.where(held < reached[:, None], held, -1)


def ring_positions(step: Step, room: int, counted: bool = False) -> Tensor:
    """(B, room): the position each ring slot holds before this call (or after it, `counted`), negative if none."""
    counts = step.counts if counted else (0,) * len(step.counts)
    last = step.tensor([start + count - 1 for start, count in zip(step.starts, counts, strict=True)])[:, None]
    return last - (last - torch.arange(room, device=step.device)) % room


def scatter_plan(step: Step, room: int) -> tuple[Tensor, Tensor, Tensor]:
    """Row, token and ring slot of every token of this call that is to be remembered."""
    triples = [
        (row, token, (start + token) % room)
        for row, (start, count) in enumerate(zip(step.starts, step.counts, strict=True))
        for token in range(max(0, count - room), count)
    ]
    rows, tokens, slots = zip(*triples, strict=True) if triples else ((), (), ())
    return step.tensor(rows), step.tensor(tokens), step.tensor(slots)


def blank(buffer: Tensor, dim: int, rows: Sequence[int], kept: Sequence[int], held: Sequence[int]) -> None:
    """Zeros at positions `kept[i]` to `held[i]` of row `rows[i]`, which stand at `position % size` of `dim`."""
    room = buffer.shape[dim]
    for row, first, end in zip(rows, kept, held, strict=True):
        where = torch.arange(first, min(end, first + room), device=buffer.device) % max(1, room)
        buffer[row].index_fill_(dim - 1, where, 0)
