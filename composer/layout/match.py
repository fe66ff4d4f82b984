"""How the names of a checkpoint meet those of a model."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, field, replace

from .patterns import numbers_in
from .rows import Row, WeightMap, rows_by_name


@dataclass(frozen=True)
class Match:
    """`filled` maps each parameter to the tensor that holds it, by the row in `rows`.

    `equal` lists pairs of tensors that must hold the same numbers, `missing` and `unexpected` are names of the
    checkpoint, `unused` those of a head that the model has not.
    """

    filled: dict[str, str] = field(default_factory=dict)
    equal: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict, compare=False)

    @property
    def moved(self) -> frozenset[str]:
        """The tensors whose numbers change places on the way."""
        ops = {theirs: self.rows[ours].op for ours, theirs in self.filled.items()}
        return frozenset(theirs for theirs, op in ops.items() if op is not None and op.moves)

    def take(self, ours: str, row: Row, stored: Container[str]) -> bool:
        """Fill a parameter from the first tensor of a row that is there; the others must be equal to it."""
        present = [name for name in row.theirs if name in stored]
        if present:
            first = self.filled.setdefault(ours, present[0])
            self.rows.setdefault(ours, row)
            self.equal.extend((first, other) for other in present if other != first)
        return bool(present)


def match_names(
    weights: WeightMap,
    parameters: Iterable[str],
    names: Iterable[str],
    whole: bool = True,
    fresh: Collection[str] = (),
) -> Match:
    """Meet the tensors called `names`.

    A checkpoint in which no name has the map's prefix is one of the base model and is read without it.  With
    `whole` false the model has not the head that was stored: what was stored of one is not used, and the
    model's own is not looked for; neither are the parameters in `fresh`.
    Raises `WeightsError` E532 as `expand_rows` does.
    """
    stored, match = dict.fromkeys(names), Match()
    prefix = next((p for p in (weights.prefix, *weights.others) if any(n.startswith(p) for n in stored)), "")
    if prefix != weights.prefix:
        weights = weights.renamed(prefix)
    looked_for = (ours for ours in parameters if (whole or not of_head(ours)) and ours not in fresh)
    rows = rows_by_name(weights, looked_for)
    for ours, choices in rows.items():
        any(match.take(ours, row, stored) for row in choices)
    skipped, heads = [*weights.ignore], list[str]()
    for row in weights.rows:
        if not whole and of_head(row.ours):
            heads += row.theirs
        elif row.tied in rows and row.ours not in rows:
            match.take(str(row.tied), replace(row, op=None), stored)
    match.equal[:] = dict.fromkeys(match.equal)
    lost = (rows[ours][0].theirs[0] for ours in rows if ours not in match.filled)
    match.missing.extend(dict.fromkeys(lost))
    used = {*match.filled.values(), *(other for _, other in match.equal)}
    left = [name for name in stored if name not in used and not _fits(name, skipped)]
    match.unused.extend(name for name in left if _fits(name, heads))
    match.unexpected.extend(name for name in left if not _fits(name, heads))
    return match


def of_head(ours: str) -> bool:
    """Whether a parameter belongs to the head."""
    return ours.startswith("head.")


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(numbers_in(pattern, name) is not None for pattern in patterns)
