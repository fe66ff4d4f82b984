"""Text for people: the tables of a summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import display_width, printable
from . import units
from .summary import Part, Summary

_UNKNOWN = "unknown"


def summary_text(summary: Summary) -> str:
    """What `show` prints; ends without a newline."""
    return "\n".join(
        [
            *heading(summary),
            "",
            *table(
                ("layers", "word", "blocks", "parameters", "FLOPs/token", "cache bytes"),
                "<<<>>>",
                lines(summary),
            ),
            "",
            *table(part_titles(summary), "<<>>>", part_lines(summary)),
        ]
    )


def heading(summary: Summary) -> Iterator[str]:
    """The model as a whole, a fact a line."""
    each = f"{summary.context:,} tokens"
    rows = "" if summary.batch == 1 else f", {summary.batch:,} rows"
    yield f"{printable(summary.name)}: {summary.layers:,} layers, {summary.head}"
    yield f"parameters    {summary.parameters:,} ({units.count(summary.parameters)}){published(summary)}"
    if shares(summary):
        used = f"{summary.used_parameters:,} ({units.count(summary.used_parameters)})"
        pairs = [(part.parameters, part.used_parameters) for part in summary.parts]
        yield f"used          {used} by a token, {units.met(pairs)}"
    yield f"weights       {size(summary.weight_bytes)} in {summary.dtype}"
    if summary.flops is None:
        yield "FLOPs/token   unknown: a block does not say"
    else:
        yield f"FLOPs/token   {summary.flops:,} ({units.amount(summary.flops, 'FLOP')}) after {each}"
    yield f"cache         {size(summary.cache_bytes)} for {each}{rows} in {summary.dtype}"


def size(number: int) -> str:
    """Bytes, exact and for people."""
    return f"{number:,} bytes ({units.amount(number, 'B')})"


def published(summary: Summary) -> str:
    """Whether the count is the published one, where the spec gives that."""
    known = summary.published_parameters
    if known is None:
        return ""
    return ", as published" if summary.parameters == known else f"; published are {known:,}"


def lines(summary: Summary) -> Iterator[Sequence[str]]:
    """A line for each run of layers; numbers are those of one layer."""
    for row in summary.rows:
        word = "+".join((row.word, *row.guests))
        flops = _UNKNOWN if row.flops is None else f"{row.flops:,}"
        blocks = "; ".join(row.blocks)
        yield (
            units.layers(row.first, row.last),
            word,
            blocks,
            f"{row.parameters:,}",
            flops,
            f"{row.cache_bytes:,}",
        )


def shares(summary: Summary) -> bool:
    """Whether a token meets some parameters more than once, or not at all."""
    return any(part.used_parameters != part.parameters for part in summary.parts)


def part_titles(summary: Summary) -> Sequence[str]:
    """The columns of the table of parts."""
    return ("part", "kind", "parameters", "share", *(["used"] if shares(summary) else []))


def part_lines(summary: Summary) -> Iterator[Sequence[str]]:
    """A line for each part, and the total."""
    many = shares(summary)
    for part in summary.parts:
        used = [f"{part.used_parameters:,}"] if many else []
        yield part.name, part.kind, f"{part.parameters:,}", share(part, summary.parameters), *used
    used = [f"{summary.used_parameters:,}"] if many else []
    yield "total", "", f"{summary.parameters:,}", "", *used


def share(part: Part, total: int) -> str:
    """Part of the whole in percent."""
    return f"{100 * part.parameters / total:.1f} %"


def table(titles: Sequence[str], alignment: str, rows: Iterator[Sequence[str]]) -> Iterator[str]:
    """Columns two spaces apart, `<` to the left and `>` to the right, aligned by display width."""
    cells = [list(titles), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(display_width(row[column]) for row in cells) for column in range(len(titles))]
    for row in cells:
        yield "  ".join(map(padded, row, widths, alignment)).rstrip()


def padded(cell: str, width: int, side: str) -> str:
    """A cell filled up to the width of its column."""
    space = " " * (width - display_width(cell))
    return space + cell if side == ">" else cell + space
