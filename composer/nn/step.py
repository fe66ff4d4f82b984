"""What is the same for all layers in one call, derived once: positions, padding, rope tables, masks.

B batch, T tokens in this call (rows right-padded), D width, S tokens looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import add
from typing import Any

import torch
from torch import Tensor

from composer.errors import CacheError, fail
from composer.nn.rope import tables
from composer.options import Rope

_NOT_YET = object()


class Step:
    """One call: `starts[b]` tokens of row b were seen before, `counts[b]` of its T tokens are real.

    Both are plain ints on the host, so nothing that is decided here waits for a device.
    """

    def __init__(
        self,
        embedded: Tensor,  # (B, T, D)
        starts: tuple[int, ...],
        counts: tuple[int, ...],
        *,
        position_ids: Tensor | None = None,  # (B, T), feeds angles and tables only
        segments: Tensor | None = None,  # (B, T), packed sequences of a row
        max_length: int | None = None,
        cached: bool = False,
        attention: str = "sdpa",
        record: bool = False,
    ) -> None:
        self.embedded, self.starts, self.counts = embedded, starts, counts
        self.position_ids = position_ids
        self.segments = None if segments is None else numbered(segments)
        self.max_length, self.cached = max_length, cached
        self.attention = "reference" if record else attention
        self.recording = record
        self.width = embedded.shape[1]
        even = all(count == self.width for count in counts) and all(start == starts[0] for start in starts)
        self.start: int | None = starts[0] if even else None
        """The start of every row when all rows are alike and full, else None."""
        self.ends = max(map(add, starts, counts)) if counts else 0
        """Tokens of the longest row behind this call."""
        self._made: dict[Hashable, Any] = {}

    def part(self, rows: range) -> Step:
        """The same call for some neighbouring rows, without the columns that only longer rows have."""
        own = slice(rows.start, rows.stop)
        counts = self.counts[own]
        width = max(counts)

        def cut(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[own, :width]

        part = Step(
            self.embedded[own, :width],
            self.starts[own],
            counts,
            position_ids=cut(self.position_ids),
            segments=cut(self.segments),
            max_length=self.max_length,
            cached=self.cached,
            attention=self.attention,
        )
        part._made["end"] = self.end()  # angles that depend on the length take that of the whole call
        return part

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` returns, computed at its first use in this call."""
        made = self._made.get(key, _NOT_YET)
        if made is _NOT_YET:
            made = self._made[key] = make()
        return made

    @property
    def device(self) -> torch.device:
        """Where the stream lives."""
        return self.embedded.device

    def tensor(self, values: Any) -> Tensor:
        """Host integers as an int64 tensor on the stream's device."""
        return torch.tensor(values, dtype=torch.int64, device=self.device)

    @property
    def indices(self) -> Tensor:
        """(B or 1, T): the index of each token in its row, pads included; decides what is visible."""
        return self.once("indices", self._indices)

    def _indices(self) -> Tensor:
        new = torch.arange(self.width, device=self.device)
        if self.start is not None:
            return (new + self.start)[None]
        return self.tensor(self.starts)[:, None] + new

    @property
    def valid(self) -> Tensor | None:
        """(B, T) bool: which tokens are real, None when all are."""
        return self.once("valid", self._valid)

    def _valid(self) -> Tensor | None:
        if all(count == self.width for count in self.counts):
            return None
        return torch.arange(self.width, device=self.device) < self.tensor(self.counts)[:, None]

    @property
    def first(self) -> Tensor | None:
        """(B, T) bool: which tokens begin a sequence, of a row or packed into it; None where none does."""
        return self.once("first", self._first)

    def _first(self) -> Tensor | None:
        if self.segments is not None:  # they never continue a cache
            return torch.diff(self.segments, prepend=self.segments[:, :1] - 1) != 0
        if 0 not in self.starts:
            return None
        return (self.indices == 0).expand(len(self.starts), -1)

    @property
    def slow(self) -> bool:
        """Whether the plain way to compute was asked for: what a block's fast one is compared with."""
        return self.attention == "reference"

    @property
    def positions(self) -> Tensor:
        """(B or 1, T): what rotary tables and learned positions read; restarts with each packed segment."""
        return self.once("positions", self._positions)

    def _positions(self) -> Tensor:
        if self.position_ids is not None:
            return self.position_ids
        if self.segments is None:
            return self.indices
        assert self.first is not None, "packed rows begin with a sequence"
        index = torch.arange(self.width, device=self.device).expand_as(self.segments)
        return index - torch.where(self.first, index, 0).cummax(dim=1).values

    def rope(self, rope: Rope, head_dim: int, max_position_embeddings: int | None) -> tuple[Tensor, Tensor]:
        """Cosines and sines for this call's tokens, in the stream's dtype, ready for `rotate`."""
        return self.once((rope, head_dim), lambda: self._tables(rope, head_dim, max_position_embeddings))

    def _tables(
        self, rope: Rope, head_dim: int, max_position_embeddings: int | None
    ) -> tuple[Tensor, Tensor]:
        return tables(
            rope,
            head_dim,
            self.positions,
            dtype=self.embedded.dtype,
            max_positions=max_position_embeddings,
            length=self._length(rope, max_position_embeddings),
        )

    def end(self) -> int:
        """One more than the largest position of a real token, wherever a packed row starts again."""
        found: int = self.once("end", self._end)
        return found

    def _end(self) -> int:
        if self.position_ids is None and self.segments is None:
            return self.ends
        positions = self.positions if self.valid is None else torch.where(self.valid, self.positions, 0)
        return int(positions.max()) + 1

    def _length(self, rope: Rope, max_position_embeddings: int | None) -> int | None:
        """The total length that stretched tables depend on: the cache's declared one, else this call's."""
        if not rope.depends_on_length:
            return None
        end = self.end()
        if not self.cached:
            return end
        if self.max_length is not None:
            return self.max_length
        switch = rope.original_max_position_embeddings or max_position_embeddings
        if switch is not None and end > switch:
            fail(
                CacheError,
                "E803",
                f"token {end} lies past {switch}, where {rope.type} rope changes its angles, "
                "but the cached keys were rotated with the old ones",
                hint="declare the length ahead: model.new_cache(batch_size, max_length=...)",
            )
        return end


def numbered(segments: Tensor) -> Tensor:
    """(B, T) the packed sequences of each row counted from 0: whatever changes begins a new one."""
    changes = segments[:, 1:] != segments[:, :-1]
    return torch.nn.functional.pad(changes.cumsum(dim=1), (1, 0))
