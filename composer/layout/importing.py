"""From a published `config.json` to a spec."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Place, Problem, WeightsError, did_you_mean, fail
from ..origins import Assigned
from ..reading import check_spec
from ..source.invalid import shown
from ..spec import Spec
from .expressions import Expression
from .family import Family, families, matching, originals, unusable
from .jsontext import JsonProblem, parse_json
from .template import UnfilledError
from .tree import ExpressionProblem

Config = Mapping[str, Any]
CONFIG = "config.json"


def read_config(text: bytes, name: str) -> dict[str, Any]:
    """A `config.json` as plain data.  Raises `WeightsError` E530."""
    try:
        found = parse_json(text, infinity=True)
    except JsonProblem as problem:
        place = Place(name, problem.line, problem.column) if problem.line else None
        fail(WeightsError, "E530", f"{name} {problem.message}", place=place)
    if not isinstance(found, dict):
        fail(WeightsError, "E530", f"{name} is not a JSON object")
    return found


def import_config(config: Config, name: str, source: str = "config.json") -> Spec:
    """The spec of a configuration; `name` becomes its name and `source` is what errors call the file.

    Raises `WeightsError`: E531 no family or several, E533 keys that may change the numbers and are not known,
    E534 values that are missing or impossible, E535 a feature that is not there; `SpecError` when the values
    make no sense together.
    """
    family = family_of(config, source)
    names = _names(family, config, source)
    problems = [*_unknown(family, config, names, source), *_failed_checks(family, names, source)]
    if problems:
        raise WeightsError(*problems)
    try:
        filled = family.spec.fill(names)
    except UnfilledError as error:
        raise WeightsError(*(_unfilled(*each, family, source) for each in error.found)) from None
    data = {"composer": 1, "name": name, "weights": family.name, **filled}
    return check_spec([Assigned(data, Place(source, 1, 1))])


def family_of(config: Config, source: str = "config.json") -> Family:
    """The one family whose `match` is true.  Raises `WeightsError` E531."""
    found = matching(config)
    if len(found) == 1:
        return found[0]
    kind = config.get("model_type")
    if found:
        names = ", ".join(family.name for family in found)
        fail(WeightsError, "E531", f"{source} fits several families: {names}")
    broken = [problem.message for problem in unusable()]
    known = "; ".join([f"families: {', '.join(families())}", *broken])
    hint = _nearest(kind) if isinstance(kind, str) else ""
    message = f"{source}: no family reads model_type {kind!r}" if kind else f"{source} has no model_type"
    fail(WeightsError, "E531", message, path="model_type", hint=hint or known)


def _nearest(kind: str) -> str:
    """What to say of a kind that no family reads: its family's condition, or a family with a name like it."""
    if kind in families():
        return f"the family {kind} reads it only where {families()[kind].match.text}"
    return did_you_mean(kind, families())


def _names(family: Family, config: Config, source: str) -> dict[str, Any]:
    """What the expressions of a family read: the configuration with its defaults, and named expressions."""
    names: dict[str, Any] = {"c": {**family.file.defaults, **config}, "parts": family.parts}
    for name, expression in family.let.items():
        try:
            names[name] = expression.value(names)
        except ExpressionProblem as problem:
            raise WeightsError(_unfilled((name,), expression, problem, family, source)) from None
    return names


def _unfilled(
    path: tuple[str | int, ...],
    expression: Expression,
    problem: ExpressionProblem,
    family: Family,
    source: str,
) -> Problem:
    where = ".".join(map(str, path))
    hint = f"the family {family.name} computes {where} as {expression.text}"
    return Problem("E534", f"{source}: {problem.message}", path=where, hint=hint)


def _unknown(family: Family, config: Config, names: Mapping[str, Any], source: str) -> list[Problem]:
    """Keys that the family neither reads nor knows to be without influence."""
    known = {*family.reads["c"], *family.file.defaults, *family.ignored}
    problems = []
    for key in (key for key in config if key not in known):
        if key not in family.only:
            message = f"{source}: the key {key!r} is not known and may change the numbers"
            hint = did_you_mean(key, known) or "give a spec of your own with spec="
            problems.append(Problem("E533", message, path=key, hint=hint))
        elif config[key] not in family.only[key]:
            allowed = " or ".join(map(json.dumps, family.only[key]))
            message = f"{source}: {key} is {shown(config[key])}; only {allowed} is known"
            problems.append(Problem("E533", message, path=key))
    return problems + _unknown_inside(family, names, source)


def _unknown_inside(family: Family, names: Mapping[str, Any], source: str) -> list[Problem]:
    """The same inside mappings of the configuration that the family reads under a name of its own."""
    problems = []
    for name in family.let:
        known, given = family.reads[name], family.let[name].keys_of("c")
        inside = names[name] if given and isinstance(names[name], Mapping) else {}
        for key in inside:
            if key not in known:
                where = " or ".join(sorted(family.let[name].keys_of("c")))
                message = f"{source}: the key {key!r} inside {where} is not known and may change the numbers"
                problems.append(Problem("E533", message, path=key, hint=did_you_mean(key, known)))
    return problems


def _failed_checks(family: Family, names: Mapping[str, Any], source: str) -> list[Problem]:
    problems = []
    for check, why in family.checks.items():
        try:
            if check.value(names) is not True:
                problems.append(Problem("E535", f"{source}: {why}"))
        except ExpressionProblem as problem:
            problems.append(_unfilled(("checks",), check, problem, family, source))
    return problems


def spec_name(folder: str | Path) -> str:
    """A name for the model in a folder."""
    return Path(folder).resolve().name[:200] or "model"


def config_file(folder: Path) -> str:
    """The published configuration in a folder: config.json, or that of another layout if only that is there."""
    if os.path.lexists(folder / CONFIG):
        return CONFIG
    others = (family.file.layout.config for family in originals().values() if family.file.layout)
    return next((name for name in others if os.path.lexists(folder / name)), CONFIG)
