"""Which tensor of a checkpoint is which parameter: rows as data, expanded over the names of a model.

A row is keyed by our name.  `{i}` stands for a whole number and means the same number on both sides.  Where a
word of the pattern is shared, a stored name may also say `{k}`, the number of the use, `{c}`, the copy, and
`{use}`: each layer that uses the copy, the first of them when the model is saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import Problem, WeightsError
from .frame import Frame
from .names import folded
from .ops import Op
from .patterns import fill, numbers_in, outline


@dataclass(frozen=True)
class When:
    """Where a row holds: at layers with this `word`, with this `guest`, in a model with this `head`."""

    word: str | None = None
    guest: str | None = None
    head: str | None = None

    def holds(self, numbers: Mapping[str, str], frame: Frame) -> bool:
        """Whether it does at the layer `i` of `numbers`."""
        if self.head not in (None, frame.head):
            return False
        if self.word is None and self.guest is None:
            return True
        layer = int(numbers.get("i", -1))
        if not 0 <= layer < len(frame.words):
            return False
        return self.word in (None, frame.words[layer]) and self.guest in (None, *frame.guests[layer])


@dataclass(frozen=True)
class Row:
    """One parameter: `ours`, and the names it may have in a checkpoint (several must hold equal numbers).

    `op` turns the stored tensor into ours.  With `split`, the stored tensor then holds several parameters, one
    behind the other along the first dimension: their names, ours among them.  `tied` names the parameter that
    stands in when the model has no parameter `ours`: its tensor may then be absent, and must be equal if it is
    there.  `shared` is true where the names are those of the layers that use a shared word.
    """

    ours: str
    theirs: tuple[str, ...]
    tied: str | None = None
    op: Op | None = None
    split: tuple[str, ...] = ()
    when: When = When()
    shared: bool = False

    def at(self, numbers: Mapping[str, str], frame: Frame) -> Row:
        """The row with its variables filled in."""
        ours = fill(self.ours, numbers)
        more, layers = frame.variables(ours)
        known = {**numbers, **more}
        op = self.op
        if op is not None and isinstance(op.number, str):
            op = op.sized(frame.option(ours, op.number))
        names = [name for pattern in self.theirs for name in _names(pattern, known, layers)]
        split = tuple(fill(part, numbers) for part in self.split)
        return replace(
            self, ours=ours, theirs=tuple(names), op=op, split=split, shared="{use}" in self.theirs[0]
        )


def _names(pattern: str, numbers: Mapping[str, str], layers: Iterable[int]) -> Iterator[str]:
    if "{use}" not in pattern:
        yield fill(pattern, numbers)
    else:
        yield from (fill(pattern, {**numbers, "use": str(layer)}) for layer in layers)


@dataclass(frozen=True)
class WeightMap:
    """The tensor names of one family: rows with variables, names to skip, a prefix that may be absent.

    `others` are prefixes that may stand in its place.  `frame` is what the rows may ask of the plan they are
    expanded for.  With `every`, what is shared is saved under each of its names, not under the first alone.
    """

    rows: tuple[Row, ...]
    ignore: tuple[str, ...] = ()
    prefix: str = ""
    frame: Frame = Frame()
    others: tuple[str, ...] = ()
    every: bool = False

    def saved(self, row: Row) -> tuple[str, ...]:
        """The names that a parameter is saved under."""
        return row.theirs if self.every and row.shared else row.theirs[:1]

    def renamed(self, prefix: str) -> WeightMap:
        """The same names behind another prefix."""
        if prefix == self.prefix:
            return self
        rows = (replace(row, theirs=(*behind(row.theirs, self.prefix, prefix),)) for row in self.rows)
        ignore = behind(self.ignore, self.prefix, prefix)
        return replace(self, rows=(*rows,), ignore=(*ignore,), prefix=prefix)

    def rows_of(self, name: str) -> list[Row]:
        """Every row that holds for a parameter, its variables filled in, the one to save by first."""
        found = []
        for row in self._outlines.get(outline(name), ()):
            numbers = numbers_in(row.ours, name)
            if numbers is not None and row.when.holds(numbers, self.frame):
                found.append(row.at(numbers, self.frame))
        return found

    @cached_property
    def _outlines(self) -> dict[str, list[Row]]:
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(outline(row.ours), []).append(row)
        return groups


def behind(names: Iterable[str], prefix: str, other: str) -> list[str]:
    """`names` with `other` where they begin with `prefix`."""
    return [other + name.removeprefix(prefix) if name.startswith(prefix) else name for name in names]


def own_names(parameters: Iterable[str]) -> WeightMap:
    """The map of our own layout: every tensor has the name of its parameter, also one of a head that is not there."""
    names = dict.fromkeys([*parameters, "head.weight", "head.bias"])
    return WeightMap(tuple(Row(name, (name,)) for name in names))


def rows_by_name(weights: WeightMap, parameters: Iterable[str], hint: str = "") -> dict[str, list[Row]]:
    """The rows of each parameter, in order.

    Raises `WeightsError` E532 for parameters that no row names.
    """
    found = {name: weights.rows_of(name) for name in parameters}
    if lost := [name for name, rows in found.items() if not rows]:
        lines = [name.removeprefix("and ") for name in folded(lost)]  # "and 16 more" where they are many
        first, *more = [Problem("E532", f"the weight map has no row for {line}") for line in lines]
        raise WeightsError(replace(first, hint=hint), *more)
    return found


def expand_rows(weights: WeightMap, parameters: Iterable[str]) -> list[Row]:
    """The row that each parameter is saved by, in order, its variables filled in.

    Raises `WeightsError` E532 for parameters that no row names.
    """
    hint = "save with layout='composer', which has a name for everything"
    return [rows[0] for rows in rows_by_name(weights, parameters, hint).values()]
