"""What pydantic found wrong with data, as problems in our own words with a place in the file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from composer.errors import Path, Place, Problem, did_you_mean, dotted
from composer.source.letters import punctuation_hint
from composer.source.scalars import BadScalar, resolve
from composer.source.shape import Located, Shape
from composer.source.syntax import MAX_SHOWN, not_shown

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a string",
    "none_required": "null",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
}
_CHOICE = ("literal_error", "enum")
_RULES = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "finite_number": "finite",
    "string_too_short": "at least {min_length} characters long",
    "string_too_long": "at most {max_length} characters long",
    "string_pattern_mismatch": "of the form {pattern}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
}

_MOST_LISTED = 8


class Places(Protocol):
    """Anything that knows where a key path was written; a Document does."""

    def place(self, path: Path, key: bool = False) -> Place | None:
        """The place of the value at `path`, or of its key."""
        ...


@dataclass(frozen=True)
class _Fault:
    """One error of pydantic: its type, the value it is about, details, and where it is."""

    kind: str
    given: Any
    message: str
    context: Mapping[str, Any]
    at: Located
    names: tuple[str, ...] = ()

    @property
    def of_form(self) -> bool:
        """Whether the value as a whole has not the form that was expected."""
        return self.kind in _EXPECTED or self.kind in _CHOICE


def problems_of(
    error: ValidationError,
    places: Places | None = None,
    base: Path = (),
    known: type[BaseModel] | Iterable[str] = (),
) -> list[Problem]:
    """The problems in `error`, which came from data at the key path `base`.

    `known` is the model that refused the data (so that nested options get suggestions, and union tags are
    told from keys), or the names of its options. Codes: E301 unknown option, E302 missing option, E303 wrong
    type, E304 a value that is not allowed; a pydantic custom error whose type is a code keeps it.
    """
    shape = Shape(known) if isinstance(known, type) else Shape(None, tuple(known))
    faults = [_fault(each, shape) for each in error.errors(include_url=False) if not _counts_wrong(each)]
    groups = list(_groups(faults))
    problems = _each_once([_problem(group, places, base) for group in groups[:MAX_SHOWN]])
    return [*problems, *not_shown(len(groups) - MAX_SHOWN)]


def _counts_wrong(error: Mapping[str, Any]) -> bool:
    """Whether a list is only called short because entries that are wrong were not counted."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _each_once(problems: list[Problem]) -> list[Problem]:
    """Without the complaint that an option is missing where its name is only misspelt."""
    meant = {
        (problem.path.rpartition(".")[0], problem.hint) for problem in problems if problem.code == "E301"
    }
    return [p for p in problems if p.code != "E302" or (p.path, f"did you mean {p.expected!r}?") not in meant]


def _fault(error: Mapping[str, Any], shape: Shape) -> _Fault:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    loc = tuple(part for part in error["loc"] if part != "[key]")
    tagged = kind in ("union_tag_invalid", "union_tag_not_found")
    if tagged:  # told as a wrong or missing value of the option that tells the members apart
        loc = (*loc, context["discriminator"].strip("'"))
        kind, given = ("literal_error", context["tag"]) if "tag" in context else ("missing", given)
    at = Located(loc) if tagged else shape.locate(loc)
    names = shape.names(loc[:-1]) if kind == "extra_forbidden" else ()
    return _Fault(kind, given, error["msg"], context, at, names)


def _groups(faults: list[_Fault]) -> Iterator[list[_Fault]]:
    """Faults to be told as one: those of a union are reduced to the member that was meant."""
    unions: dict[Path, list[_Fault]] = {}
    for fault in faults:
        if fault.at.union is not None:
            unions.setdefault(fault.at.union, []).append(fault)
    for fault in faults:
        if fault.at.union is None:
            yield [fault]
        else:
            yield from _meant(unions.pop(fault.at.union, []))


def _meant(faults: list[_Fault]) -> list[list[_Fault]]:
    """What to tell of a union: the forms it may have, or the faults inside the nearest member."""
    inside: dict[str, list[_Fault]] = {}
    for fault in faults:
        if fault.at.path != fault.at.union or not fault.of_form:
            inside.setdefault(fault.at.tag, []).append(fault)
    if inside:
        return [[fault] for fault in min(inside.values(), key=_distance)]
    return [faults] if faults else []


def _distance(faults: list[_Fault]) -> tuple[int, int]:
    return len(faults), sum(fault.kind == "extra_forbidden" for fault in faults)


def _problem(group: list[_Fault], places: Places | None, base: Path) -> Problem:
    fault = group[0]
    message, rest = _tell(group)
    path = (*base, *(fault.at.path[:-1] if fault.kind == "missing" else fault.at.path))
    on_key = fault.kind in ("missing", "extra_forbidden") or isinstance(fault.given, dict)
    place = places.place(path, key=on_key) if places else None
    return Problem(rest.pop("code"), message, place, dotted(path), **rest)


def _tell(group: list[_Fault]) -> tuple[str, dict[str, str]]:
    """The message for a group, and the other fields of its problem."""
    fault = group[0]
    if fault.of_form:
        return _tell_form(group)
    name = str(fault.at.path[-1]) if fault.at.path else ""
    if fault.kind == "missing":
        return f"'{name}' is missing", {"code": "E302", "expected": name}
    if fault.kind == "extra_forbidden":
        hint = punctuation_hint(name) or did_you_mean(name, fault.names) or _all_of(fault.names)
        return f"unknown option {name[:60]!r}", {"code": "E301", "found": name, "hint": hint}
    return _tell_value(fault)


def _tell_form(group: list[_Fault]) -> tuple[str, dict[str, str]]:
    """A value of the wrong type, or none of the values that are allowed."""
    given = group[0].given
    choices = [choice for fault in group if fault.kind in _CHOICE for choice in _choices(fault.context)]
    types = list(dict.fromkeys(_EXPECTED[fault.kind] for fault in group if fault.kind in _EXPECTED))
    code = "E304" if choices and isinstance(given, str) else "E303"
    expected, found = _or([*choices, *types]), shown(given)
    hint = did_you_mean(given, [c.strip("'") for c in choices]) if isinstance(given, str) else ""
    hint = hint or _type_hint(given, types)
    rest = {"code": code, "expected": expected, "found": found, "hint": hint}
    if len(choices) <= _MOST_LISTED:
        return f"expected {expected}, found {found}", rest
    return f"expected one of {len(choices)} names, found {found}", {
        **rest,
        "hint": hint or f"write {expected}",
    }


def _all_of(names: Sequence[str]) -> str:
    """The options there are, where nobody can guess which one was meant and they are few."""
    return f"the options are {', '.join(names)}" if 0 < len(names) <= 2 * _MOST_LISTED else ""


def _choices(context: Mapping[str, Any]) -> list[str]:
    """The allowed values in pydantic's list of them: `'a', 'b' or 'c'`."""
    return re.split(r", | or ", str(context.get("expected", context.get("expected_tags"))))


def _type_hint(given: object, types: list[str]) -> str:
    if isinstance(given, float) and given.is_integer() and "a whole number" in types:
        return f"write {int(given)}"
    if isinstance(given, dict) and types == ["a list"]:
        return "begin each entry of the list with '- '"
    if not isinstance(given, str):
        return ""
    if "true or false" in types:
        return "write true or false"
    plain = unicodedata.normalize("NFKC", given)
    try:
        number = isinstance(resolve(plain), int | float) and {"a number", "a whole number"} & {*types}
    except BadScalar:
        return ""
    if number and not given.isascii():
        return f"write {plain}"
    return "remove the quotes" if number else ""


def _tell_value(fault: _Fault) -> tuple[str, dict[str, str]]:
    """A value of the right type that breaks a rule, in the words of the rule or of its validator."""
    found = shown(fault.given)
    if fault.kind in _RULES:
        expected = _RULES[fault.kind].format(**{key: _bare(v) for key, v in fault.context.items()})
        return f"must be {expected}, found {found}", {"code": "E304", "expected": expected, "found": found}
    if re.fullmatch(r"E[0-9]{3}", fault.kind):
        rest = {key: str(fault.context[key]) for key in ("hint", "expected", "found") if key in fault.context}
        return fault.message, {"code": fault.kind, **rest}
    message = str(fault.context.get("error", fault.message))
    return message or "this value is not allowed", {"code": "E304", "found": found}


def _bare(bound: object) -> object:
    """A bound without a needless `.0`."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def shown(value: object) -> str:
    """A value as an error names it: short, and in the words of YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _or(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
