"""Write docs/contract.md anew: what a plugin may count on, from the code itself.  `make docs` runs this."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import composer.nn
import composer.plugins
import composer.testing
from composer.block import API
from composer.plugins.hooks import GROUP, HOOKS, Hooks
from composer.plugins.timing import FUNCTION, IMPORT

HERE = Path(__file__).parent
PAGE = HERE / "contract.md"

# What is for authors, by door; whatever else a door has is for those who use models.
AUTHORS = {
    "composer": [
        "Block", "Site", "Declared", "Linears", "Param", "Slot", "Causal", "Norm", "Rope", "ActivationName", "Width",
        "hookimpl", "catalog", "Catalog", "ComposerError",
    ],
    "composer.nn": [
        "Mixer", "At", "Step", "Keys", "LinearGroup", "attend", "rotate", "activation", "rms_norm", "layer_norm",
        "stacked",
        "convolve", "exactly",
    ],
    "composer.testing": [
        "check_block", "run_checks", "Outcome", "parametrize_with_checks", "contract_checks", "SITE", "ContractError",
        "alone", "Alone", "verify",
    ],
}  # fmt: skip

# What tests of plugins may do with whole models, besides.
MODELS = {
    "read_spec": "read_spec(what)",
    "resolve": "resolve(spec, catalog=None)",
    "build": "build(plan, seed=0)",
    "save": 'save(model, folder, layout="composer")',
    "load": "load(folder)",
    "catalog": "catalog(*modules, files=[...])",
}

# Of a class that the host fills, what authors read and call; the rest is the host's.
MEMBERS = {
    "At": ["keys", "fresh", "state", "remember", "record"],
    "Step": ["valid", "first", "slow", "positions", "indices", "device", "once", "tensor", "rope"],
    "Catalog": ["unknown"],
    "LinearGroup": ["forward"],
    "ComposerError": ["code", "to_json"],
    "Slot": [],
    "Linears": ["flops"],
    "Declared": [],
    "Rope": ["misfits", "rotary_width"],
    "ContractError": [],
    "Outcome": [],
    "Alone": ["block", "forward", "new_cache", "states"],
}
ATTRIBUTES = {
    "At": {"step": "The step of the call."},
    "Step": {
        "embedded": "(B, T, D): the embedded tokens, before the first layer.",
        "width": "T, the tokens of this call, pads included.",
        "counts": "For each row how many of its T tokens are real; plain ints.",
        "starts": "For each row how many tokens were seen before; plain ints.",
        "ends": "How many tokens the row with most of them has behind this call; a plain int.",
        "start": "The start of every row where all are alike and full, else None.",
        "segments": "(B, T) numbers of the packed sequences of a row, or None; a block looks at its own alone.",
        "attention": "The name of the kernel that was asked for; `attend` follows it, other blocks follow `slow`.",
        "recording": "Whether somebody listens to `at.record`.",
    },
}


def page() -> str:
    """The whole page."""
    doors = "\n".join(door(name, names) for name, names in AUTHORS.items())
    return template().format(
        models="\n".join(map(model_row, MODELS)),
        api=API,
        group=GROUP,
        hooks="\n".join(map(hook, HOOKS)),
        import_seconds=f"{IMPORT:g}",
        function_seconds=f"{FUNCTION:g}",
        doors=doors,
        checks="\n".join(checks()),
        errors="\n".join(errors()),
    )


def model_row(name: str) -> str:
    """A row of the table of what makes and keeps models."""
    function = getattr(composer, name)
    return f"| `{MODELS[name]}` | {first_line(function)} |"


def template() -> str:
    """What is written by hand: the sentences around the tables."""
    return (HERE / "contract.md.in").read_text(encoding="utf-8")


def hook(name: str) -> str:
    """A row of the table of hooks."""
    function = getattr(Hooks, name)
    return f"| `{name}() -> {plain(inspect.signature(function).return_annotation)}` | {inspect.getdoc(function)} |"


def checks() -> Iterator[str]:
    """What the kit demands."""
    for name, check in composer.testing.contract_checks().items():
        yield f"| `{name}` | {first_line(check)} |"


def errors() -> Iterator[str]:
    """Every way in which a plugin is refused, from the page of errors."""
    for line in (HERE / "errors.md").read_text(encoding="utf-8").splitlines():
        if re.match(r"\| E4\d\d ", line):
            code, example, says, _ = (cell.strip() for cell in line.strip("|").split(" | "))
            yield f"| {code} | {example} | {says} |"


# ---------------------------------------------------------------- names


def door(module: str, names: list[str]) -> str:
    """A section: one of the three doors."""
    return "\n".join([f"## `{module}`\n", *(entry(module, name) for name in names)])


def entry(module: str, name: str) -> str:
    """What is to be known of one name."""
    value = getattr(import_module(module), name)
    lines = [f"### `{name}`\n"]
    if inspect.isclass(value):
        lines += of_class(name, value)
    elif inspect.isfunction(value):
        lines += [code(f"{name}{signature(value)}"), said(value)]
    else:
        lines += [of_value(name, value)]
    return "\n".join([*lines, ""])


def of_class(name: str, kind: type) -> Iterator[str]:
    """A class: how it is made, what it has, what it does."""
    if not (issubclass(kind, BaseModel) or name in MEMBERS and not dataclasses.is_dataclass(kind)):
        yield code(f"{name}{signature(kind)}")
    yield said(kind)
    rows = [*fields(kind), *ATTRIBUTES.get(name, {}).items()]
    if rows:
        yield table("field", rows) if any(text for _, text in rows) else listed(rows)
    yield from methods(name, kind)


def fields(kind: type) -> Iterator[tuple[str, str]]:
    """Fields with their types, defaults and descriptions."""
    if issubclass(kind, BaseModel):
        notes = {
            key: text
            for base in reversed(kind.__mro__)
            for key, text in vars(base).get("__annotations__", {}).items()
        }
        yield from ((f"{key}: str", "") for key in ("api", "kind") if "ClassVar" in str(notes.get(key)))
        for key, field in kind.model_fields.items():
            default = "" if field.default is PydanticUndefined else f" = {field.default!r}"
            yield f"{key}: {plain(notes[key])}{default}", field.description or ""
    elif dataclasses.is_dataclass(kind):
        for each in dataclasses.fields(kind):
            default = "" if each.default is dataclasses.MISSING else f" = {each.default!r}"
            yield f"{each.name}: {plain(each.type)}{default}", ""


def methods(name: str, kind: type) -> Iterator[str]:
    """What the class itself defines in public, or what of it is for authors."""
    own = [key for key, value in vars(kind).items() if not key.startswith("_") and is_member(value)]
    for key in MEMBERS.get(name, own):
        member = inspect.getattr_static(kind, key)
        if isinstance(member, property | cached_property):
            function: Any = member.fget if isinstance(member, property) else member.func
            yield f"- `{key}`: {inline(function)}"
        else:
            function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            yield f"- `{key}{signature(function)}`: {inline(function)}"


def is_member(value: Any) -> bool:
    """Whether something in a class is to be called or read."""
    return inspect.isfunction(value) or isinstance(
        value, property | cached_property | classmethod | staticmethod
    )


def of_value(name: str, value: Any) -> str:
    """A name that is neither a class nor a function."""
    if name == "ActivationName":
        return f"The type of an option that names an activation: {', '.join(f'`{each}`' for each in get_args(value))}."
    known = {
        "Width": "The type of an option that is a positive size: an int from 1 to 2**24.",
        "hookimpl": "The decorator of a hook: `@composer.hookimpl`.",
        "SITE": f"`{value!r}`: where the kit puts a block when a test does not say.",
    }
    return known[name]


# ---------------------------------------------------------------- text


def signature(function: Any) -> str:
    """The parameters as they are written, without `self`."""
    found = inspect.signature(function)
    kept = [each for each in found.parameters.values() if each.name not in ("self", "cls")]
    parts: list[str] = []
    for each in kept:
        note = "" if each.annotation is each.empty else f": {plain(each.annotation)}"
        value = "…" if inspect.isfunction(each.default) else repr(each.default)
        default = "" if each.default is each.empty else f" = {value}" if note else f"={value}"
        star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        if each.kind is each.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        parts.append(f"{star}{each.name}{note}{default}")
    back = found.return_annotation
    known = back not in (found.empty, None, "None") and not inspect.isclass(function)
    return f"({', '.join(parts)})" + (f" -> {plain(back)}" if known else "")


def plain(annotation: Any) -> str:
    """A type as it is written."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return str(text)


def code(text: str) -> str:
    """A line of Python."""
    return f"```python\n{text}\n```\n"


def said(value: Any) -> str:
    """A docstring, its own and not one that is inherited."""
    text = inspect.cleandoc(value.__doc__ or "")
    return re.sub(r"(?m)^ {4}", "    ", text) + "\n"


def inline(function: Any) -> str:
    """A docstring in one line."""
    return " ".join(inspect.cleandoc(function.__doc__ or "").split())


def first_line(function: Any) -> str:
    """The sentence of a docstring."""
    return (function.__doc__ or "").strip().splitlines()[0]


def listed(rows: list[tuple[str, str]]) -> str:
    """Names of which the docstring tells."""
    return f"Fields: {', '.join(f'`{key}`' for key, _ in rows)}.\n"


def table(head: str, rows: list[tuple[str, str]]) -> str:
    """Rows of a name and a sentence."""
    body = "".join(f"| `{key}` | {text} |\n".replace(" | ", " \\| ", key.count(" | ")) for key, text in rows)
    return f"| {head} | |\n|---|---|\n{body}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
