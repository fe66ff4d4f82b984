"""What a cache remembered at one moment, to go back to as often as wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from torch import Tensor

from composer.errors import CacheError, fail

from .memory import Memory

if TYPE_CHECKING:
    from .cache import HybridCache

Copies = dict[int, dict[str, Tensor]]


class Snapshot:
    """Made by `cache.snapshot()`.

    Bounded memory (rings, recurrent states) is copied at once.  What full attention keeps is appended to and
    never changed, so it is copied only when the cache is about to give up tokens that the snapshot holds.
    """

    def __init__(self, cache: HybridCache) -> None:
        self._home = cache
        self._progress = cache.progress.taken(range(cache.batch_size))
        self._copies = self._copied(lambda slot: not slot.appends)
        self._whole = False

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return list(self._progress.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of its own, beside what it still shares with the cache."""
        tensors = (t for part in self._copies.values() for t in part.values())
        return sum(t.numel() * t.element_size() for t in tensors)

    def guard(self, lengths: Iterable[int] | None) -> None:
        """Copy what is still shared, before rows keep only `lengths` of their tokens (None: any change)."""
        if self._whole:
            return
        if lengths is None or any(
            kept < held for kept, held in zip(lengths, self._progress.lengths, strict=True)
        ):
            self._copies |= self._copied(lambda slot: slot.appends)
            self._whole = True

    def put_back(self, cache: HybridCache, broken: bool) -> None:
        """Make the cache what it was, also where a call has failed half-way."""
        longest, lengths, held = self._progress.longest, self._progress.lengths, cache.lengths
        for number, slot in enumerate(cache.memories()):
            if broken and number not in self._copies:  # who knows how far it has been written to
                slot.fill([slot.copied(longest)], longest)
                slot.forget(range(len(lengths)), lengths, [longest] * len(lengths))
            elif number not in self._copies:
                slot.forget(range(len(lengths)), lengths, held)
            else:
                slot.fill([self._copies[number]], longest)
        cache.progress.become(self._progress)

    def require(self, cache: HybridCache) -> None:
        """Raise unless it was taken of this cache."""
        if self._home is not cache:
            hint = "a snapshot belongs to the cache that made it; files carry memory from one to another"
            fail(CacheError, "E811", "the snapshot was taken of another cache", hint=hint)

    @property
    def whole(self) -> bool:
        """Whether everything is copied."""
        return self._whole

    def _copied(self, wanted: Callable[[Memory], bool]) -> Copies:
        return {
            number: slot.copied(self._progress.longest)
            for number, slot in enumerate(self._home.memories())
            if wanted(slot)
        }
