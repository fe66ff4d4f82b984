"""Where the bytes of a cache are, slot by slot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K")


@dataclass(frozen=True)
class Share:
    """Bytes of one slot that serve one purpose.

    `kind` is kv (every token), ring (the newest), state (recurrent), or for a cache that can go back, anchor
    (a second state) and log (inputs to replay).
    """

    layer: int
    path: str
    kind: str
    nbytes: int


@dataclass(frozen=True)
class CacheReport:
    """Every share, in the order of the layers; `str()` is a table."""

    shares: tuple[Share, ...]

    @property
    def nbytes(self) -> int:
        """All bytes."""
        return sum(share.nbytes for share in self.shares)

    @property
    def by_layer(self) -> dict[int, int]:
        """Bytes of each layer that remembers anything."""
        return summed((share.layer, share.nbytes) for share in self.shares)

    @property
    def by_kind(self) -> dict[str, int]:
        """Bytes of each kind."""
        return summed((share.kind, share.nbytes) for share in self.shares)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        rows = [(f"layers.{s.layer}.{s.path}", s.kind, f"{s.nbytes:,}") for s in self.shares]
        rows += [("all", kind, f"{count:,}") for kind, count in self.by_kind.items()]
        rows.append(("all", "", f"{self.nbytes:,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for path, kind, count in rows:
            yield f"{path:<{widths[0]}}  {kind:<{widths[1]}}  {count:>{widths[2]}}"


def summed(counts: Iterable[tuple[K, int]]) -> dict[K, int]:
    """Counts of the same key together, keys in the order they come."""
    sums: dict[K, int] = {}
    for key, count in counts:
        sums[key] = sums.get(key, 0) + count
    return sums
