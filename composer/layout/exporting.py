"""From a plan back to a `config.json`: legal exactly when reading the result gives the same plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import Problem, SpecError, WeightsError
from ..plan import Plan
from ..resolving import resolve
from ..source.invalid import shown
from .expressions import Expression
from .family import Family
from .heads import head_config, head_in
from .importing import import_config
from .names import folded
from .rows import expand_rows
from .template import UnfilledError
from .tree import ExpressionProblem
from .view import DRAWS, flat, view


def export_config(plan: Plan, family: Family) -> dict[str, Any]:
    """The configuration of `plan` in the words of `family`.

    Raises `WeightsError`: E536 with every field that the family cannot say, E532 with parameters that its
    weight map does not name.
    """
    said = head_config(plan.head, family)
    config = {**said, **_fill(plan, family), **said}
    try:
        spec = import_config(config, plan.name)
        again = resolve(spec, head=plan.head.kind, **head_in(config, "").of(plan.head.kind))
    except (SpecError, WeightsError) as error:
        found = [_misfit(family, problem.message, problem.path) for problem in error.problems]
        raise _refusal(found) from None
    problems = _differences(plan, again, family)
    if problems:
        raise _refusal(problems)
    expand_rows(family.weights_of(plan), plan.parameters())
    return config


def _fill(plan: Plan, family: Family) -> dict[str, Any]:
    names: dict[str, Any] = {
        "p": {**view(plan), "generation": plan.spec.generation},
        "parts": family.parts,
    }
    failed: list[tuple[Any, Expression, ExpressionProblem]] = []
    for name, expression in family.back.items():
        try:
            names[name] = expression.value(names)
        except ExpressionProblem as problem:
            failed.append((("back", name), expression, problem))
    try:
        config: dict[str, Any] = family.config.fill(names)
    except UnfilledError as error:
        failed += error.found
    lacking = {*family.back} - {*names}  # what else has no value for want of these is told once
    failed = [each for each in failed if lacking.isdisjoint(each[1].names())]
    if failed:
        raise _refusal([_misfit(family, p.message, ".".join(map(str, path[1:]))) for path, _, p in failed])
    return config


def _misfit(family: Family, message: str, path: str = "") -> Problem:
    said = f"a configuration of {family.name} cannot say this: {message}"
    return Problem("E536", said, path=path)


def _refusal(problems: list[Problem]) -> WeightsError:
    """All of them, the last with the way out."""
    *others, last = problems
    return WeightsError(*others, replace(last, hint="save with layout='composer', which can say everything"))


def _differences(plan: Plan, again: Plan, family: Family) -> list[Problem]:
    """Where the plan that was read back differs, fields of several layers folded into one.

    A mapping of which one side has nothing is named alone.  What a family derives for single matrices before
    training, from the spread that its file does say, may differ.
    """
    ours, theirs = (
        {path: value for path, value in flat(view(each)) if f".{DRAWS}." not in path}
        for each in (plan, again)
    )
    groups: dict[tuple[str, str], list[str]] = {}
    there = [{way for path in side for way in _ways(path)} for side in (ours, theirs)]
    if plan.embedding.padding is None:  # a file has one number for this row and for the padding of texts
        theirs["embedding.padding"] = None
    for path in dict.fromkeys([*ours, *theirs]):
        one, other = (shown(side[path]) if path in side else "not there" for side in (ours, theirs))
        if one != other:
            whole = next((way for way in _ways(path) if not all(way in side for side in there)), path)
            group = (one, other) if whole == path else ("there" if path in ours else one, other)
            groups.setdefault(group, []).append(whole)
    return [
        _misfit(family, f"it is {one}, and would be read back as {other}", path)
        for (one, other), paths in groups.items()
        for path in folded(dict.fromkeys(paths))
    ]


def _ways(path: str) -> list[str]:
    """Everything on the way to a path, shortest first, and the path."""
    parts = path.split(".")
    return [".".join(parts[: at + 1]) for at in range(len(parts))]
