"""The hybrid cache: what every layer remembers, and every operation over it.

Lengths live once, per row, on the host; what a slot holds and where is derived from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import index

import torch

from composer.errors import CacheError, fail
from composer.plan import Plan

from .slots import KeyValues
from .step import Step


class HybridCache:
    """The memory of one batch: `lengths[b]` tokens of row b, and a slot for every block that declared one.

    Made by `model.new_cache`.  With `max_length` everything is allocated at once and nothing more is
    ever taken; without it full slots grow by doubling.
    """

    def __init__(
        self,
        plan: Plan,
        batch_size: int,
        max_length: int | None,
        rollback: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        sizes = [_whole(batch_size), 1 if max_length is None else _whole(max_length), _whole(rollback) + 1]
        if min(sizes) < 1:
            asked = f"batch_size={batch_size!r}, max_length={max_length!r}, rollback={rollback!r}"
            hint = "whole numbers, all of them positive; rollback may be 0"
            fail(CacheError, "E801", f"a cache for {asked} holds nothing", hint=hint)
        self.plan, self.max_length, self.allowed = plan, max_length, rollback
        self.dtype, self.device = dtype, device
        self.lengths = [0] * batch_size
        self._reached = [0] * batch_size  # the most tokens a row has had; what they overwrote is gone
        self.slots = [
            {
                path: KeyValues(slot, batch_size, max_length, rollback, dtype, device)
                for path, slot in layer.slots().items()
            }
            for layer in plan.layers
        ]
        self._broken: str | None = None

    def __iter__(self) -> Iterator[dict[str, KeyValues]]:
        return iter(self.slots)

    @property
    def nbytes(self) -> int:
        """Bytes allocated by all slots; `plan.cache_bytes` counts the same."""
        return sum(slot.nbytes for slots in self.slots for slot in slots.values())

    def require_room(self, counts: Sequence[int]) -> None:
        """Raise unless this many more tokens of each row may be remembered now."""
        if self._broken:
            fail(
                CacheError,
                "E802",
                f"this cache is unusable: a call failed half-way ({self._broken})",
                hint="make a new one with model.new_cache()",
            )
        if len(counts) != len(self.lengths):
            fail(
                CacheError,
                "E804",
                f"the cache holds {len(self.lengths)} rows, the call has {len(counts)}",
                hint="a cache belongs to one batch",
            )
        longest = max(length + count for length, count in zip(self.lengths, counts, strict=True))
        if self.max_length is not None and longest > self.max_length:
            fail(
                CacheError,
                "E805",
                f"a row would reach {longest} tokens, the cache was made for {self.max_length}",
                hint="model.new_cache(batch_size, max_length=...) with room for prompt and answer",
            )

    def commit(self, step: Step) -> None:
        """Count the tokens of a finished call; the only place where lengths grow."""
        self.lengths = [length + count for length, count in zip(self.lengths, step.counts, strict=True)]
        self._reached = [max(pair) for pair in zip(self.lengths, self._reached, strict=True)]

    def poison(self, error: BaseException) -> None:
        """Mark the cache as unusable after a call that raised between its first and last layer."""
        self._broken = f"{type(error).__name__}: {error}".splitlines()[0]

    def rollback(self, tokens: int | Sequence[int]) -> None:
        """Forget the newest tokens, one number for all rows or one a row; all rows move or none.

        Raises CacheError where any slot is a ring and a row would go further back from the most tokens it
        has had than the `rollback` the cache was made with.
        """
        asked = _each_row(tokens, len(self.lengths))
        if len(asked) != len(self.lengths) or any(
            not 0 <= n <= length for n, length in zip(asked, self.lengths, strict=False)
        ):
            fail(
                CacheError,
                "E806",
                f"cannot forget {tokens!r} tokens of rows that hold {self.lengths}",
                hint="one number from 0 to the row's length, or one for each row",
            )
        lengths = [length - n for length, n in zip(self.lengths, asked, strict=True)]
        back = max(reached - length for reached, length in zip(self._reached, lengths, strict=True))
        ring = self._ring()
        if ring and back > self.allowed:
            fail(
                CacheError,
                "E807",
                f"{ring} is a ring and can go back {self.allowed} tokens from the most it has had, not {back}",
                hint=f"model.new_cache(..., rollback={back})",
            )
        self.lengths = lengths

    def _ring(self) -> str | None:
        """The path of a slot that forgets by itself, if there is one."""
        paths = (
            f"layers.{number}.{path}"
            for number, slots in enumerate(self.slots)
            for path, slot in slots.items()
            if slot.slot.window is not None
        )
        return next(paths, None)


def _whole(number: object) -> int:
    """The number if it is a whole one, else one that no size can be."""
    try:
        return index(number)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return -1


def _each_row(tokens: object, rows: int) -> list[int]:
    """One number for each row; what is neither a whole number nor a row of them fits nothing."""
    if isinstance(tokens, Iterable) and getattr(tokens, "ndim", 1) == 1:
        return [_whole(number) for number in tokens]
    return [_whole(tokens)] * rows
