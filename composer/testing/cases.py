"""Rows of tokens and how they are fed, as data: what a check tries, and what is left of it when it fails.

B rows, counted from 0 as tokens and channels are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Counts = tuple[int, ...]
NTH = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Case:
    """`calls[c][b]` new tokens of row b in call c; uneven rows are padded on a side.

    Of those, the newest `forgotten[c][b]` are forgotten again after the call.  Row `emptied` begins anew with
    the last call.  `packed`: what would be rows stands in one row, told apart by segment_ids.  `cached`: calls
    continue a cache, which knows its length beforehand if it is `declared`.
    """

    calls: tuple[Counts, ...]
    side: Literal["right", "left"] = "right"
    forgotten: tuple[Counts, ...] = ()
    emptied: int | None = None
    packed: bool = False
    cached: bool = True
    declared: bool = False

    @staticmethod
    def of(rows: int, *tokens: int) -> Case:
        """Calls of so many tokens of every row; a single one needs no cache."""
        return Case(tuple((count,) * rows for count in tokens), cached=len(tokens) > 1)

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.calls[0])

    @property
    def kept(self) -> tuple[Counts, ...]:
        """Tokens of each call and row that are not forgotten."""
        lost = self.forgotten or (((0,) * self.rows,) * len(self.calls))
        return tuple(
            tuple(count - less for count, less in zip(*pair, strict=True))
            for pair in zip(self.calls, lost, strict=True)
        )

    @property
    def lengths(self) -> Counts:
        """Tokens of each row that are not forgotten, in all calls."""
        return tuple(map(sum, zip(*self.kept, strict=True)))

    @property
    def most(self) -> int:
        """Tokens of the longest row, with those that will be forgotten."""
        return max(map(sum, zip(*self.calls, strict=True)))

    def alone(self, row: int) -> Case:
        """One row in calls of its own, without what is forgotten."""
        calls = [counts[row] for counts in self.kept]
        calls = calls[-1:] if row == self.emptied else calls
        return Case(tuple((count,) for count in calls if count), cached=self.cached)

    def __str__(self) -> str:
        return ", ".join(self._said())

    def _said(self) -> Iterator[str]:
        first, *more = self.calls
        if self.packed:
            yield f"1 row of {sum(first)} tokens, packed as {' + '.join(map(str, first))} by segment_ids"
            return
        yield f"{some(self.rows, 'row')} of {brought(first)}"
        if any(len(set(counts)) > 1 for counts in self.calls):
            yield f"{self.side} padding"
        for number, counts in enumerate(more, 1):
            last = self.emptied is not None and number == len(more)
            emptied = f" after row {self.emptied} is emptied" if last else ""
            yield f"{nth(number)} call of {brought(counts)}{emptied}"
        for number, lost in enumerate(self.forgotten):
            if any(lost):
                yield f"{brought(lost)} forgotten again after the {nth(number)} call"
        if self.declared:
            yield f"a cache for {self.most}"


def brought(counts: Counts) -> str:
    """`2 tokens`, or row by row `2 and 1 tokens`."""
    return some(counts[0], "token") if len(set(counts)) == 1 else f"{' and '.join(map(str, counts))} tokens"


def nth(number: int) -> str:
    """`second` for 1."""
    return NTH[number] if number < len(NTH) else f"{number + 1}th"


def some(count: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def smaller(case: Case) -> Iterator[Case]:
    """Cases that ask for less, those that ask for much less first; in every call some row brings a token."""
    yield from (each for each in reduced(case) if all(map(any, each.calls)))


def reduced(case: Case) -> Iterator[Case]:
    """A row, a call, or some tokens fewer; no row goes without tokens in a call unless some did before."""
    none = 0 if any(0 in counts for counts in case.calls) else 1
    yield from (without_row(case, row) for row in range(case.rows) if case.rows > 1)
    yield from (without_call(case, call) for call in range(len(case.calls)) if len(case.calls) > 1)
    for call, counts in enumerate(case.calls):
        lost = case.forgotten[call] if case.forgotten else (0,) * case.rows
        least = tuple(max(none, count) for count in lost)
        yield from (replace(case, calls=put(case.calls, call, less)) for less in lower(counts, least))
        yield from (
            replace(case, forgotten=put(case.forgotten, call, less)) for less in lower(lost, (0,) * case.rows)
        )
    if case.declared:
        yield replace(case, declared=False)


def without_row(case: Case, row: int) -> Case:
    """The other rows."""
    calls, forgotten = (
        tuple(counts[:row] + counts[row + 1 :] for counts in lists) for lists in (case.calls, case.forgotten)
    )
    emptied = case.emptied
    if emptied is not None:
        emptied = None if row == emptied else emptied - (row < emptied)
    return replace(case, calls=calls, forgotten=forgotten, emptied=emptied)


def without_call(case: Case, call: int) -> Case:
    """The other calls."""
    calls, forgotten = (lists[:call] + lists[call + 1 :] for lists in (case.calls, case.forgotten))
    return replace(case, calls=calls, forgotten=forgotten)


def put(lists: tuple[Counts, ...], call: int, counts: Counts) -> tuple[Counts, ...]:
    """One of several lists in another's place."""
    return (*lists[:call], counts, *lists[call + 1 :])


def lower(counts: Counts, least: Counts) -> Iterator[Counts]:
    """Half of all counts and of each, then one less of all and of each, and nowhere less than `least`."""
    every = range(len(counts))
    lowerings: tuple[Callable[[int], int], ...] = (lambda count: count // 2, lambda count: count - 1)
    for less in lowerings:
        for which in (every, *((row,) for row in every)):
            lowered = tuple(
                max(less(count), floor) if row in which else count
                for row, (count, floor) in enumerate(zip(counts, least, strict=True))
            )
            if lowered != counts:
                yield lowered
