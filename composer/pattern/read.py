"""A pattern as it stands in a spec: a string, or a list of strings that are joined by commas."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

from composer.errors import Path, Place, dotted
from composer.pattern.parse import parse
from composer.pattern.words import Locate, Pattern
from composer.source import Document


def read_pattern(
    value: str | list[str], document: Document | None = None, path: Path = ("pattern",)
) -> Pattern:
    """Read the pattern `value` that stands at `path` of `document`; errors point inside the YAML scalar.

    Offsets of a list count in its strings joined by ",". Raises SpecError as `parse` does.
    """
    parts = [value] if isinstance(value, str) else _without_trailing_commas(value)
    locate = _locate(parts, document, path, isinstance(value, str)) if document else None
    return parse(",".join(parts), locate, dotted(path))


def _without_trailing_commas(parts: list[str]) -> list[str]:
    """Commas that end an item give way to the one that joins it, at the same offsets."""
    return [*(re.sub(r",(\s*)$", r" \1", part) for part in parts[:-1]), *parts[-1:]]


def _locate(parts: list[str], document: Document, path: Path, whole: bool) -> Locate:
    starts = list(accumulate((len(part) + 1 for part in parts[:-1]), initial=0))

    def locate(offset: int, width: int) -> Place:
        index = bisect_right(starts, offset) - 1
        return document.scalar_place(path if whole else (*path, index), offset - starts[index], width)

    return locate
