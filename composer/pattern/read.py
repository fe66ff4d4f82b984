"""A pattern as it stands in a spec: a string, or a list of strings that are joined by commas."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

from composer.errors import Path, Place, dotted
from composer.pattern.parse import parse
from composer.pattern.words import Locate, Pattern


class ScalarPlaces(Protocol):
    """Anything that knows where the characters of a string were written; a Document does."""

    def scalar_place(self, path: Path, start: int, width: int) -> Place | None:
        """The place of `width` characters from `start` inside the string at `path`."""
        ...


def read_pattern(
    value: str | Sequence[str], places: ScalarPlaces | None = None, path: Path = ("pattern",)
) -> Pattern:
    """Read the pattern `value` that stands at the key path `path`; errors point inside its strings.

    Offsets of a list count in its strings joined by ",". Raises SpecError as `parse` does.
    """
    parts = [value] if isinstance(value, str) else _joinable(value)
    paths = [path] if isinstance(value, str) else [(*path, index) for index in range(len(parts))]
    return parse(",".join(parts), _locate(parts, paths, path, places) if places else None, dotted(path))


def _joinable(parts: Sequence[str]) -> list[str]:
    """A comma that ends a string gives way to the one that joins it to the next, at the same offsets."""
    return [*(re.sub(r",(\s*)\Z", r" \1", part) for part in parts[:-1]), *parts[-1:]]


def _locate(parts: list[str], paths: list[Path], path: Path, places: ScalarPlaces) -> Locate:
    starts = list(accumulate((len(part) + 1 for part in parts[:-1]), initial=0))

    def locate(offset: int, width: int) -> Place | None:
        if not paths:
            return places.scalar_place(path, 0, width)
        index = bisect_right(starts, offset) - 1
        return places.scalar_place(paths[index], offset - starts[index], width)

    return locate
