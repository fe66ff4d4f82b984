"""Patterns side by side: each track of a mapping cycles to all layers on its own, then they are zipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from composer.errors import Path, Place, Problem, SpecError, dotted
from composer.pattern.cycle import Remainder, check_number, cycle
from composer.pattern.read import ScalarPlaces, read_pattern
from composer.pattern.rest import fill
from composer.pattern.words import Pattern, Word

ONLY = "mixer"
"""The track of a pattern that is no mapping."""

Row = Mapping[str, Word]
"""One layer: the word of each track."""
Written = str | Sequence[str] | Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Tracks:
    """The patterns of a spec by track; `paths` are the keys where they stand."""

    patterns: Mapping[str, Pattern]
    paths: Mapping[str, Path]

    @property
    def several(self) -> bool:
        """Whether the pattern was written as a mapping."""
        return any(len(path) > 1 for path in self.paths.values())

    def expand(
        self,
        layers: int | None = None,
        remainder: Remainder = "error",
        place: Place | None = None,
        typed: bool = False,
    ) -> tuple[Row, ...]:
        """The words of every layer; without `layers` as many as the longest track has.

        `place` is where `layers` stands; the rest is as in `cycle` and `fill`.  Raises SpecError with the problems
        of all tracks.
        """
        if layers is not None:
            check_number(layers, place)
        longest = max(pattern.length() for pattern in self.patterns.values())
        words, problems = dict[str, tuple[Word, ...]](), list[Problem]()
        for track, pattern in self.patterns.items():
            where = place if layers is not None else pattern.whole
            what = f"track {track!r}" if self.several else "the pattern"
            try:
                filled = fill(pattern, layers, dotted(self.paths[track]), typed).expand()
                words[track] = cycle(filled, layers or longest, remainder, where, typed, what)
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(*problems)
        return tuple(dict(zip(words, row, strict=True)) for row in zip(*words.values(), strict=True))


def read_tracks(written: Written, places: ScalarPlaces | None = None, path: Path = ("pattern",)) -> Tracks:
    """Read a pattern, or each track of a mapping.  Raises SpecError with the problems of all tracks."""
    several = isinstance(written, Mapping)
    values = written if isinstance(written, Mapping) else {ONLY: written}
    paths = {track: (*path, track) if several else path for track in values}
    patterns, problems = dict[str, Pattern](), list[Problem]()
    for track, value in values.items():
        try:
            patterns[track] = read_pattern(value, places, paths[track])
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(*problems)
    return Tracks(patterns, paths)
