"""How far every row of a cache has come, in tokens, on the host: all that a slot holds is derived from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Advance:
    """What one call does to the anchors of recurrent states, for every row.

    `folded` tokens are replayed from the log before the call; the first `lead` tokens of the call itself are
    run alone, and the state behind them becomes the anchor; `anchors` is where the anchors stand afterwards.
    """

    folded: tuple[int, ...]
    lead: tuple[int, ...]
    anchors: tuple[int, ...]


@dataclass
class Progress:
    """One entry a row.

    `lengths`: tokens remembered, kept as those of the first row and what the others have more: rows that are
    fed alike differ by what never changes, and a compiled call has one number to follow and none to compare.
    `reached`: the most the row has had since it was empty, what they overwrote is gone.  `anchors`: where the
    anchor of every recurrent state stands.  `behind`: whether the recurrent states went back to their anchors,
    from where the next call takes them on.
    """

    first: int
    more: list[int]
    reached: list[int]
    anchors: list[int]
    behind: list[bool]

    @classmethod
    def of(cls, rows: int) -> Self:
        """Rows that remember nothing."""
        return cls(0, [0] * rows, [0] * rows, [0] * rows, [False] * rows)

    @classmethod
    def joined(cls, parts: Iterable[Progress]) -> Self:
        """The rows of several, one after the other."""
        made, lengths = cls.of(0), list[int]()
        for part in parts:
            lengths += part.lengths
            made.reached += part.reached
            made.anchors += part.anchors
            made.behind += part.behind
        made.lengths = lengths
        return made

    @property
    def lengths(self) -> list[int]:
        """Tokens that each row remembers."""
        return [self.first + more for more in self.more]

    @lengths.setter
    def lengths(self, lengths: Sequence[int]) -> None:
        self.first = lengths[0] if lengths else 0
        self.more = [length - self.first for length in lengths]

    def back(self, row: int, length: int) -> None:
        """Let one row remember fewer tokens; its states go on from their anchors."""
        lengths = self.lengths
        lengths[row], self.behind[row] = length, True
        self.lengths = lengths

    def taken(self, index: Sequence[int]) -> Progress:
        """The rows named, in that order."""
        made, lengths = Progress.of(0), self.lengths
        made.lengths = [lengths[row] for row in index]
        made.reached = [self.reached[row] for row in index]
        made.anchors = [self.anchors[row] for row in index]
        made.behind = [self.behind[row] for row in index]
        return made

    def become(self, other: Progress) -> None:
        """The rows of another, in place: slots hold on to this object."""
        made = Progress.joined([other])
        self.lengths, self.reached = made.lengths, made.reached
        self.anchors, self.behind = made.anchors, made.behind

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.lengths)

    def clear(self, row: int) -> None:
        """Make a row one that remembers nothing."""
        self.back(row, 0)
        self.reached[row] = self.anchors[row] = 0
        self.behind[row] = False

    def advance(self, counts: Sequence[int], rollback: int, room: int) -> Advance:
        """How anchors move where a log has `room` tokens: by many at once, and only when it would overflow."""
        ends = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        anchors = tuple(
            end - rollback if end - anchor > room else anchor
            for end, anchor in zip(ends, self.anchors, strict=True)
        )
        moved = list(zip(anchors, self.anchors, self.lengths, strict=True))
        lead = tuple(max(0, new - length) if new > old else 0 for new, old, length in moved)
        folded = tuple(
            new - old if not first else 0 for (new, old, _), first in zip(moved, lead, strict=True)
        )
        return Advance(folded, lead, anchors)

    def commit(self, counts: Sequence[int], anchors: Sequence[int]) -> None:
        """Count the tokens of a finished call."""
        self.lengths = [length + count for length, count in zip(self.lengths, counts, strict=True)]
        self.reached = [max(pair) for pair in zip(self.lengths, self.reached, strict=True)]
        self.anchors, self.behind = list(anchors), [False] * len(self.lengths)
