"""Markdown and English for generated pages: tables, lists of layers, plurals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import printable

Row = Sequence[str]
MOST_LISTED = 16


def table(titles: Row, alignment: str, rows: Iterable[Row]) -> str:
    """A table; `<` puts a column to the left, `>` to the right."""
    ruler = ["---:" if side == ">" else "---" for side in alignment]
    lines = (titles, ruler, *([cell(text) for text in row] for row in rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Text that stays in its cell."""
    return printable(text).replace("|", "\\|").replace("\n", " ")


def code(text: str) -> str:
    """Text as code, backticks of its own included."""
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{printable(text)}{space}{fence}"


def plural(count: int, noun: str) -> str:
    """`1 layer`, `1,024 layers`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def times(count: int) -> str:
    """`once`, `twice`, `7 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def listed(layers: Sequence[int], every: int) -> str:
    """Indices of layers: `all`, neighbours as `3..7`, and how many there are where that is hard to see."""
    if len(layers) == every:
        return "all"
    spans = list(spanned(layers))
    if len(spans) > MOST_LISTED:
        return f"{plural(len(layers), 'layer')}, from {layers[0]} to {layers[-1]}"
    return series([str(a) if a == b else f"{a}..{b}" for a, b in spans])


def spanned(layers: Sequence[int]) -> Iterable[tuple[int, int]]:
    """The first and the last of each stretch of neighbours."""
    first = last = layers[0]
    for index in layers[1:]:
        if index != last + 1:
            yield first, last
            first = index
        last = index
    yield first, last


def series(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
