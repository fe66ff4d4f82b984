"""What a cache is before anything is done with it: slots, how far each row has come, whether it can be used."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from composer.block import Slot
from composer.errors import CacheError, fail
from composer.plan import Plan

from .cache_report import CacheReport, Share
from .memory import Memory
from .numbers import whole
from .progress import Progress
from .slots import KeyValues
from .snapshots import Snapshot
from .states import States
from .step import Step


class Held:
    """The slots of every layer, what a model call does with them, and how an operation moves them all."""

    def __init__(
        self,
        plan: Plan,
        batch_size: int,
        max_length: int | None,
        rollback: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        sizes = [whole(batch_size), 1 if max_length is None else whole(max_length), whole(rollback) + 1]
        if min(sizes) < 1:
            asked = f"batch_size={batch_size!r}, max_length={max_length!r}, rollback={rollback!r}"
            hint = "whole numbers, all of them positive; rollback may be 0"
            fail(CacheError, "E801", f"a cache for {asked} holds nothing", hint=hint)
        self.plan, self.max_length, self.allowed = plan, max_length, rollback
        self.dtype, self.device = dtype, device
        self.progress = Progress.of(batch_size)
        self.slots = [
            {path: self._memory(slot) for path, slot in layer.slots().items()} for layer in plan.layers
        ]
        self._logged = max((slot.room for slot in self.memories() if isinstance(slot, States)), default=0)
        self._broken: str | None = None
        self._snapshots: weakref.WeakSet[Snapshot] = weakref.WeakSet()

    def _memory(self, slot: Slot) -> KeyValues | States:
        kind = States if slot.kind == "recurrent" else KeyValues
        return kind(slot, self.progress, self.max_length, self.allowed, self.dtype, self.device)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_snapshots": None}  # a copy has none of its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _snapshots=weakref.WeakSet())

    def __iter__(self) -> Iterator[dict[str, KeyValues | States]]:
        return iter(self.slots)

    def named_slots(self) -> Iterator[tuple[int, str, Memory]]:
        """Layer, path inside it, and memory of every slot, in the order of the plan."""
        for number, slots in enumerate(self.slots):
            for path, slot in slots.items():
                yield number, path, slot

    def memories(self) -> list[Memory]:
        """Every slot, in the order of the plan."""
        return [slot for _, _, slot in self.named_slots()]

    @property
    def batch_size(self) -> int:
        """Rows."""
        return len(self.progress.lengths)

    @property
    def lengths(self) -> list[int]:
        """Tokens that each row remembers."""
        return list(self.progress.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes allocated by all slots; `plan.cache_bytes` counts the same."""
        return sum(slot.nbytes for slot in self.memories())

    def report(self) -> CacheReport:
        """Bytes by layer and kind; printed, a table."""
        return CacheReport(
            tuple(
                Share(number, path, kind, count)
                for number, path, slot in self.named_slots()
                for kind, count in slot.parts().items()
            )
        )

    # What a model call does with it.

    def require_whole(self) -> None:
        """Raise CacheError E802 where a call or an operation has failed half-way."""
        if self._broken:
            hint = "make a new one with model.new_cache(), empty it with reset(), or restore() a snapshot"
            message = f"this cache is unusable: a call failed half-way ({self._broken})"
            fail(CacheError, "E802", message, hint=hint)

    def require_room(self, counts: Sequence[int]) -> None:
        """Raise unless this many more tokens of each row may be remembered now."""
        self.require_whole()
        if len(counts) != self.batch_size:
            message = f"the cache holds {self.batch_size} rows, the call has {len(counts)}"
            fail(CacheError, "E804", message, hint="a cache belongs to one batch")
        longest = max(map(sum, zip(self.progress.lengths, counts, strict=True)))
        if self.max_length is not None and longest > self.max_length:
            message = f"a row would reach {longest} tokens, the cache was made for {self.max_length}"
            hint = "model.new_cache(batch_size, max_length=...) with room for prompt and answer"
            fail(CacheError, "E805", message, hint=hint)

    def rows(self, layer: int, rows: range, end: int) -> dict[str, KeyValues | States]:
        """The slots of one layer for some neighbouring rows; the longest of all will have `end` tokens."""
        return {path: slot.rows(rows, end) for path, slot in self.slots[layer].items()}

    def commit(self, step: Step) -> None:
        """Count the tokens of a finished call; the only place where lengths grow."""
        anchors: Sequence[int] = self.progress.anchors
        if self._logged:
            anchors = self.progress.advance(step.counts, self.allowed, self._logged).anchors
        self.progress.commit(step.counts, anchors)

    def poison(self, error: BaseException) -> None:
        """Mark the cache as unusable after a call that raised between its first and last layer."""
        self._broken = f"{type(error).__name__}: {error}".splitlines()[0]

    # How an operation moves all of them.

    @contextmanager
    def _moving(self, lengths: list[int] | None, but: Snapshot | None = None) -> Iterator[None]:
        """Let snapshots copy what rows of these lengths (None: other rows) give up; poison what fails."""
        for snapshot in self._snapshots:
            if snapshot is not but:
                snapshot.guard(lengths)
        try:
            yield
        except BaseException as error:
            self.poison(error)
            raise

    def _allocate_anew(self) -> None:
        for slot in self.memories():
            slot.tensors = slot.allocate(self.batch_size, 0)

    def _empty(self, rows: Iterable[int]) -> None:
        emptied = list(rows)
        for slot in self.memories() if emptied else ():
            slot.clear(emptied)
        for row in emptied:
            self.progress.clear(row)

    def limit(self) -> str | None:
        """The first slot that cannot go back any distance, and why."""
        for number, path, slot in self.named_slots():
            if limit := slot.limit():
                return f"layers.{number}.{path} {limit}"
        return None
