"""Rows of very different lengths, run in parts, so that a batch costs what its tokens cost."""

from __future__ import annotations

from collections.abc import Sequence

OVERHEAD = {"cpu": 24}
"""Tokens that take as long as reading all weights once more, by kind of device."""
OTHERWISE = 512


def parts(counts: Sequence[int], device: str) -> list[range]:
    """Neighbouring rows that are run together, chosen so that padding and overhead cost least.

    `counts` are the real tokens of each row; rows without any stand in no part unless all are.
    """
    overhead, rows = OVERHEAD.get(device, OTHERWISE), len(counts)
    if rows * max(counts) - sum(counts) <= overhead:
        return [range(rows)]
    best: list[tuple[int, int]] = [(0, 0)]  # for the first n rows: least cost, where the last part begins
    for end in range(1, rows + 1):
        best.append(min(_costs(counts, end, overhead, best)))
    found, end = list[range](), rows
    while end:
        begin = best[end][1]
        if any(counts[begin:end]):
            found.append(range(begin, end))
        end = begin
    return found[::-1]


def _costs(
    counts: Sequence[int], end: int, overhead: int, best: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """The cost of the first `end` rows for every beginning of the last part."""
    found, longest = list[tuple[int, int]](), 0
    for begin in range(end - 1, -1, -1):
        longest = max(longest, counts[begin])
        own = (end - begin) * longest + overhead if longest else 0
        found.append((best[begin][0] + own, begin))
    return found
