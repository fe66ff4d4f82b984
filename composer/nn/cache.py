"""The hybrid cache: what every layer remembers, and every operation over it.

Lengths live once, per row, on the host; what a slot holds and where is derived from them.  Every operation
checks all rows and all slots first and then moves all of them; what any state cannot do is refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from composer.errors import CacheError, fail

from .device import usable_device
from .held import Held
from .legacy import batch_of, fill_from, to_legacy
from .numbers import each_row, rows_named, whole
from .progress import Progress
from .snapshots import Snapshot

if TYPE_CHECKING:
    from .model import Model


class HybridCache(Held):
    """The memory of one batch: `lengths[b]` tokens of row b, and a slot for every block that declared one.

    Made by `model.new_cache`.  With `max_length` everything is allocated at once and nothing more is
    ever taken; without it full slots grow by doubling.  `rollback` tokens can be forgotten by slots that
    cannot forget by themselves (rings, recurrent states).
    """

    # Forgetting.

    def max_rollback(self) -> list[int]:
        """How many of its newest tokens each row can forget; besides, a row can always forget all of them."""
        progress = self.progress
        if self.limit() is None:
            return self.lengths
        back = (
            self.allowed - most + length
            for most, length in zip(progress.reached, progress.lengths, strict=True)
        )
        return [max(0, min(pair)) for pair in zip(back, progress.lengths, strict=True)]

    def rollback(self, tokens: int | Sequence[int] | Tensor) -> None:
        """Forget the newest tokens, one number for all rows or one a row; all rows move or none.

        Raises CacheError E806 for numbers that the rows do not have, and E807 where a slot cannot forget by
        itself and a row would go further back, from the most tokens it has had, than the `rollback` the
        cache was made with.  Forgetting all tokens of a row is always possible.
        """
        self.require_whole()
        held = self.progress.lengths
        asked = each_row(tokens, len(held))
        if len(asked) != len(held) or any(
            not 0 <= n <= length for n, length in zip(asked, held, strict=False)
        ):
            message = f"cannot forget {tokens!r} tokens of rows that hold {held}"
            hint = "one number from 0 to the row's length, or one for each row"
            fail(CacheError, "E806", message, hint=hint)
        self._shorten([length - n for length, n in zip(held, asked, strict=True)])

    def crop(self, lengths: int | Sequence[int] | Tensor) -> None:
        """Keep the oldest tokens: so many of each row, or with one number at most so many of all rows.

        Raises CacheError as `rollback`.
        """
        self.require_whole()
        held = self.progress.lengths
        asked = each_row(lengths, len(held))
        one = whole(lengths) >= 0 and max(held) >= whole(lengths)
        kept = [min(pair) for pair in zip(asked, held, strict=False)] if one else asked
        if len(kept) != len(held) or any(not 0 <= n <= length for n, length in zip(kept, held, strict=False)):
            message = f"cannot keep {lengths!r} tokens of rows that hold {held}"
            fail(
                CacheError, "E806", message, hint="one number from 0 to the longest row, or one for each row"
            )
        self._shorten(kept)

    def reset(self, rows: int | Sequence[int] | Tensor | None = None) -> None:
        """Empty some rows, or all; emptied as a whole, a cache that a failed call left unusable is usable.

        Raises CacheError E809 for rows that are not there.
        """
        if rows is not None:
            self.require_whole()
        named = [rows] if whole(rows) >= 0 else rows
        emptied = range(self.batch_size) if rows is None else rows_named(named, self.batch_size, what="empty")
        lengths = self.lengths
        for row in emptied:
            lengths[row] = 0
        with self._moving(lengths):
            if self._broken:  # slots may differ in their rows
                self._allocate_anew()
            self._empty(emptied)
        if rows is None:
            self._broken = None

    # Rows.

    def reorder(self, index: Sequence[int] | Tensor) -> None:
        """Row i becomes what row `index[i]` was; as many rows as before, each as often as it is named.

        Raises CacheError E809.
        """
        self._take(rows_named(index, self.batch_size, what="reorder by", count=self.batch_size))

    def select(self, rows: Sequence[int] | Tensor) -> None:
        """Keep the rows named, in that order, each as often as it is named.  Raises CacheError E809."""
        self._take(rows_named(rows, self.batch_size, what="select", count=None))

    def repeat(self, times: int) -> None:
        """Every row `times` times, copies next to each other.  Raises CacheError E809."""
        if whole(times) < 1:
            message = f"cannot repeat every row {times!r} times"
            fail(CacheError, "E809", message, hint="a whole number from 1")
        self._take([row for row in range(self.batch_size) for _ in range(times)])

    @staticmethod
    def concatenate(caches: Sequence[HybridCache]) -> HybridCache:
        """A new cache with the rows of all, one after the other; rows keep their lengths, nothing is padded.

        Raises CacheError E810 for caches that are not alike: of one model, dtype, device, `max_length` and
        `rollback`.
        """
        caches = require_alike(caches)
        first = caches[0]
        sizes = sum(cache.batch_size for cache in caches), first.max_length, first.allowed
        made = HybridCache(first.plan, *sizes, first.dtype, first.device)
        made.progress.become(Progress.joined(cache.progress for cache in caches))
        for slot, *parts in zip(made.memories(), *(cache.memories() for cache in caches), strict=True):
            longest = made.progress.longest
            slot.fill([part.used(longest) for part in parts], longest)
        return made

    # Moments, places, files.

    def snapshot(self) -> Snapshot:
        """What is remembered now, to `restore` as often as wanted."""
        self.require_whole()
        taken = Snapshot(self)
        self._snapshots.add(taken)
        return taken

    def restore(self, snapshot: Snapshot) -> None:
        """Become what the cache was when the snapshot was taken, usable even if a call has failed since.

        Raises CacheError E811 for a snapshot of another cache.
        """
        if not isinstance(snapshot, Snapshot):
            what = type(snapshot).__name__
            fail(
                CacheError,
                "E811",
                f"a {what} is no snapshot of this cache",
                hint="cache.snapshot() makes one",
            )
        snapshot.require(self)
        with self._moving(None if snapshot.whole else snapshot.lengths, but=snapshot):
            snapshot.put_back(self, broken=self._broken is not None)
        self._broken = None

    def to(self, device: torch.device | str) -> HybridCache:
        """Move everything to another device; returns the cache itself.

        Raises CallError E716 for a device that is not there, CacheError E812 for a dtype, which is always
        that of the model, and for the device "meta", where nothing could be remembered.
        """
        self.require_whole()
        if isinstance(device, torch.dtype) or str(device) == "meta":
            what = "in" if isinstance(device, torch.dtype) else "on"
            hint = "a cache has the dtype of its model; feed the tokens again to a model of another"
            fail(CacheError, "E812", f"a cache cannot be kept {what} {device}", hint=hint)
        found = usable_device(device)
        moved = [slot.on(found) for slot in self.memories()]
        for slot, tensors in zip(self.memories(), moved, strict=True):
            slot.tensors, slot.device = tensors, found
        self.device = torch.empty(0, device=found).device  # cuda is cuda:0, as of tensors
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, at once; see `composer.store.save_cache`."""
        from composer.store import save_cache

        save_cache(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str], model: Model) -> HybridCache:
        """The cache in a file, for a model of the same memory; see `composer.store.load_cache`."""
        from composer.store import load_cache

        return load_cache(path, model)

    def to_legacy(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """(key, value) of each layer, copies of (B, heads, T, dim).

        Raises CacheError E813 for what tuples cannot hold: rows of different lengths, recurrent states, a ring
        that has dropped tokens, a layer with several slots or none.
        """
        return to_legacy(self)

    @staticmethod
    def from_legacy(
        pairs: Sequence[Sequence[Tensor]], model: Model, max_length: int | None = None, rollback: int = 0
    ) -> HybridCache:
        """A cache that remembers (key, value) of each layer, (B, heads, T, dim), all T tokens of every row.

        Raises CacheError E813 where the model remembers other things, E814 for tuples that do not fit it.
        """
        cache = model.new_cache(batch_of(pairs), max_length, rollback)
        fill_from(cache, pairs)
        return cache

    def _shorten(self, lengths: list[int]) -> None:
        progress = self.progress
        limit = self.limit()
        moved = [
            most - length if length else 0
            for length, most, held in zip(lengths, progress.reached, progress.lengths, strict=True)
            if length < held
        ]
        back = max(moved, default=0)
        if limit and back > self.allowed:
            message = f"{limit} and can go back {self.allowed} tokens from the most it has had, not {back}"
            fail(CacheError, "E807", message, hint=f"model.new_cache(..., rollback={back})")
        held = self.lengths
        rows = [row for row, length in enumerate(lengths) if 0 < length < held[row]]
        with self._moving(lengths):
            for slot in self.memories() if rows else ():
                slot.forget(rows, [lengths[row] for row in rows], [held[row] for row in rows])
            for row in rows:
                progress.back(row, lengths[row])
            self._empty(row for row, length in enumerate(lengths) if held[row] and not length)

    def _take(self, rows: list[int]) -> None:
        self.require_whole()
        with self._moving(None):
            index = torch.tensor(rows, device=self.device)
            for slot in self.memories():
                slot.take(index, self.progress.longest)
            self.progress.become(self.progress.taken(rows))


def require_alike(caches: Any) -> list[HybridCache]:
    """Caches that can be joined.  Raises CacheError E810, or E802 for one that is poisoned."""
    listed = list(caches) if isinstance(caches, Iterable) else []
    if not listed or not all(isinstance(cache, HybridCache) for cache in listed):
        hint = "HybridCache.concatenate([one, other])"
        fail(CacheError, "E810", "what is joined is a list of caches, at least one", hint=hint)
    first = listed[0]
    for cache in listed:
        cache.require_whole()
        for name in ("dtype", "device", "max_length", "allowed"):
            here, there = getattr(first, name), getattr(cache, name)
            if here != there:
                _unlike(f"{'rollback' if name == 'allowed' else name} {here} and {there}")
        if cache.plan is not first.plan and cache.plan != first.plan:
            _unlike("different models")
    return listed


def _unlike(what: str) -> NoReturn:
    hint = "make them with the same model, max_length and rollback"
    fail(CacheError, "E810", f"caches made for {what} cannot be joined", hint=hint)
