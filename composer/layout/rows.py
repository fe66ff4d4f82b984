"""Which tensor of a checkpoint is which parameter: rows as data, expanded over the names of a model.

A row is keyed by our name.  `{i}` stands for a whole number and means the same number on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from ..errors import Problem, WeightsError
from .names import folded


@dataclass(frozen=True)
class Row:
    """One parameter: `ours`, and the names it may have in a checkpoint (several must hold equal numbers).

    `tied` names the parameter that stands in when the model has no parameter `ours`: its tensor may then be
    absent, and must be equal if it is there.
    """

    ours: str
    theirs: tuple[str, ...]
    tied: str | None = None

    def at(self, numbers: Mapping[str, str]) -> Row:
        """The row with its variables filled in."""
        return Row(fill(self.ours, numbers), tuple(fill(name, numbers) for name in self.theirs), self.tied)


@dataclass(frozen=True)
class WeightMap:
    """The tensor names of one family: rows with variables, names to skip, a prefix that may be absent."""

    rows: tuple[Row, ...]
    ignore: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class Match:
    """How the names of a checkpoint meet those of a model.

    `filled` maps each parameter to the tensor that holds it, `equal` lists pairs of tensors that must hold
    the same numbers, `missing` and `unexpected` are names of the checkpoint.
    """

    filled: dict[str, str] = field(default_factory=dict)
    equal: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


def own_names(parameters: Iterable[str]) -> WeightMap:
    """The map of our own layout: every tensor has the name of its parameter."""
    return WeightMap(tuple(Row(name, (name,)) for name in parameters))


def expand_rows(weights: WeightMap, parameters: Iterable[str]) -> list[Row]:
    """The row of each parameter, in order, its variables filled in.

    Raises `WeightsError` E532 for parameters that no row names.
    """
    found = {name: _row_of(weights.rows, name) for name in parameters}
    if lost := [name for name, row in found.items() if row is None]:
        raise WeightsError(
            *(Problem("E532", f"the weight map has no row for {name}") for name in folded(lost))
        )
    return [row for row in found.values() if row is not None]


def _row_of(rows: Iterable[Row], name: str) -> Row | None:
    for row in rows:
        if (numbers := numbers_in(row.ours, name)) is not None:
            return row.at(numbers)
    return None


def match_names(
    weights: WeightMap, parameters: Iterable[str], names: Iterable[str], whole: bool = True
) -> Match:
    """Meet the tensors called `names`.

    A checkpoint in which no name has the map's prefix is one of the base model and is read without it.  With
    `whole` false the model is a part of what was stored (no head), and tensors of the other rows are skipped.
    Raises `WeightsError` E532 as `expand_rows` does.
    """
    stored, match = dict.fromkeys(names), Match()
    bare = not any(name.startswith(weights.prefix) for name in stored)
    cut = weights.prefix if bare else ""
    for row in expand_rows(weights, parameters):
        _fill(match, row.ours, _cut(row.theirs, cut), stored)
    spare = [row for row in weights.rows if row.ours not in match.filled]
    skipped = _cut(weights.ignore, cut)
    for row in spare:
        if not whole:
            skipped += _cut(row.theirs, cut)
        elif row.tied in match.filled:
            _check_equal(match, match.filled[row.tied], _cut(row.theirs, cut), stored)
    used = {*match.filled.values(), *(other for _, other in match.equal)}
    left = [name for name in stored if name not in used]
    match.unexpected.extend(n for n in left if all(numbers_in(pattern, n) is None for pattern in skipped))
    return match


def _cut(names: Iterable[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in names]


def _fill(match: Match, ours: str, theirs: Sequence[str], stored: Container[str]) -> None:
    present = [name for name in theirs if name in stored]
    if present:
        match.filled[ours] = present[0]
        _check_equal(match, present[0], present[1:], stored)
    else:
        match.missing.append(theirs[0])


def _check_equal(match: Match, first: str, others: Iterable[str], stored: Container[str]) -> None:
    match.equal.extend((first, other) for other in others if other in stored)


def numbers_in(pattern: str, name: str) -> dict[str, str] | None:
    """The numbers that the variables of `pattern` stand for in `name`; None when it is another name."""
    found = _compiled(pattern).fullmatch(name)
    return None if found is None else found.groupdict()


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    seen: set[str] = set()
    text = ""
    for at, part in enumerate(parts):
        if at % 2 == 0:
            text += re.escape(part)
        else:
            text += f"(?P={part})" if part in seen else f"(?P<{part}>0|[1-9][0-9]*)"
            seen.add(part)
    return re.compile(text)


def fill(pattern: str, numbers: Mapping[str, str]) -> str:
    """`pattern` with its variables replaced by their numbers."""
    return re.sub(r"\{(\w+)\}", lambda found: numbers[found[1]], pattern)
