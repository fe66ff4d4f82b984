"""A corpus as one memory-mapped row of token ids, and the batches that a step takes from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.errors import UsageError, fail

from .corpus import Document

Ids = NDArray[np.integer]


@dataclass(frozen=True)
class Tokens:
    """Documents back to back; each begins with the token that begins a text, where the vocabulary has one."""

    ids: Ids
    starts: NDArray[np.int64]  # where each document begins
    byte_count: int  # of the text, in UTF-8

    def documents(self) -> Iterator[Ids]:
        """The ids of one document after the other."""
        yield from np.split(self.ids, self.starts[1:]) if len(self.starts) else ()


def write_tokens(
    documents: Iterable[Document],
    encode: Callable[[str], Sequence[int]],
    path: Path,
    vocab_size: int,
    begin: Sequence[int] = (),
    end: Sequence[int] = (),
) -> Tokens:
    """Encode piece by piece into `path` (2 bytes a token, 4 for large vocabularies) and map it."""
    dtype: Any = np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)
    starts, written, size = [], 0, 0
    with path.open("wb") as file:
        for document in documents:
            starts.append(written)
            written += _put(file.write, begin, dtype)
            for piece in document.pieces():
                written += _put(file.write, encode(piece), dtype)
                size += len(piece.encode())
            written += _put(file.write, end, dtype)
    ids = np.memmap(path, dtype, mode="r") if written else np.zeros(0, dtype)
    return Tokens(ids, np.array(starts, np.int64), size)


def _put(write: Callable[[bytes], object], ids: Sequence[int], dtype: Any) -> int:
    write(np.asarray(ids, dtype).tobytes())
    return len(ids)


class Batches:
    """Rows of `context` tokens in an order drawn from `seed`; step n is a pure function of n.

    Each pass over the text cuts it at another offset and shuffles the rows anew.
    """

    def __init__(self, ids: Ids, batch_size: int, context: int, seed: int) -> None:
        if len(ids) < 2 * context:
            fail(
                UsageError,
                "E952",
                f"the text makes {len(ids):,} tokens; rows of {context:,} need at least {2 * context:,}",
                hint="give more text or a smaller context",
            )
        self.ids, self.batch_size, self.context, self.seed = ids, batch_size, context, seed
        self.rows = (len(ids) - context) // context  # in a pass, whatever its offset
        self._order = lru_cache(maxsize=2)(self._draw)

    def _draw(self, turn: int) -> NDArray[np.int64]:
        """Where the rows of one pass begin, in their order."""
        random = np.random.default_rng([self.seed, turn])
        offset = int(random.integers(self.context))
        return random.permutation(self.rows) * self.context + offset

    def __call__(self, step: int) -> NDArray[np.int64]:
        """The rows of step 0, 1, ...: (batch_size, context)."""
        first = step * self.batch_size
        wanted = (divmod(number, self.rows) for number in range(first, first + self.batch_size))
        starts = [int(self._order(turn)[row]) for turn, row in wanted]
        return np.stack([self.ids[start : start + self.context] for start in starts]).astype(np.int64)
