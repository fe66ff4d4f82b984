"""Plain data as YAML, in the style of the shipped specs and with a comment beside what needs one."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from ..errors import Path
from ..source import BadScalar, resolve

WIDTH = 110
_STEP = "  "
# What is a string unquoted: words, and in a line of its own also commas and brackets between them.
_WORDS = re.compile(r"[A-Za-z_][\w×+*=./-]*(?: [\w×+*=./-]+)*", re.ASCII)
_LINE = re.compile(r"[A-Za-z_(][\w×+*=./,()'-]*(?: [\w×+*=./,()'-]+)*", re.ASCII)
_OTHER_YAML = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~")

Note = Callable[[Path], str]
"""The comment on a key path, or an empty string."""


def yaml_text(
    data: dict[str, Any], note: Note = lambda path: "", block: Callable[[Path], bool] = lambda path: False
) -> str:
    """The data as YAML that reads back as the same; `note` comments on keys.

    A collection of scalars that fits on a line stands on one, unless `block` is true of its path.
    """
    return "\n".join(_Writer(note, block).mapping(data, (), "")) + "\n"


class _Writer:
    def __init__(self, note: Note, block: Callable[[Path], bool]) -> None:
        self.note, self.block = note, block

    def mapping(self, data: dict[str, Any], path: Path, indent: str) -> Iterator[str]:
        """The lines of a mapping in block style."""
        for key, value in data.items():
            yield from self.entry(key, value, (*path, key), indent)

    def entry(self, key: str, value: Any, path: Path, indent: str) -> Iterator[str]:
        """The lines of one key, its comment behind it or, where that is too long, above."""
        first, *more = self.lines(f"{indent}{string(key, flow=True)}:", value, path, indent)
        note = self.note(path)
        if note and len(first) + len(note) + 4 > WIDTH:
            width = WIDTH - len(indent) - 2
            yield from (f"{indent}# {line}" for line in textwrap.wrap(note, width, break_on_hyphens=False))
        elif note:
            first = f"{first}  # {note}"
        yield from (first, *more)

    def lines(self, lead: str, value: Any, path: Path, indent: str) -> Iterator[str]:
        """What is behind a key, on its line or below it."""
        text = "" if value and isinstance(value, dict | list) and self.block(path) else flow(value, top=True)
        tall = isinstance(value, str) or (isinstance(value, dict | list) and value)
        if text and (len(lead) + len(text) < WIDTH or not tall):
            yield f"{lead} {text}"
        elif isinstance(value, dict):
            yield lead
            yield from self.mapping(value, path, indent + _STEP)
        elif isinstance(value, list):
            yield lead
            yield from self.items(value, path, indent + _STEP)
        elif foldable(value):
            yield f"{lead} >-"
            width = WIDTH - len(indent) - 2
            for line in textwrap.wrap(value, width, break_long_words=False, break_on_hyphens=False):
                yield f"{indent}{_STEP}{line}"
        else:
            yield f"{lead} {text}"

    def items(self, items: list[Any], path: Path, indent: str) -> Iterator[str]:
        """The lines of a list in block style."""
        for number, item in enumerate(items):
            text = flow(item, deep=True)
            if len(indent) + len(text) + 2 < WIDTH or not isinstance(item, dict | list):
                yield f"{indent}- {text}"
                continue
            first, *more = (
                self.mapping(item, (*path, number), indent + _STEP)
                if isinstance(item, dict)
                else self.items(item, (*path, number), indent + _STEP)
            )
            yield f"{indent}- {first.lstrip(' ')}"
            yield from more


def flow(value: Any, top: bool = False, deep: bool = False) -> str:
    """A value on one line; empty for a collection of collections unless `deep`, or a string unlike a line."""
    if (
        isinstance(value, dict | list)
        and not deep
        and any(isinstance(v, dict | list) for v in _values(value))
    ):
        return "" if value else flow(value, deep=True)
    if isinstance(value, dict):
        inner = ", ".join(f"{string(key, flow=True)}: {flow(each, deep=True)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(flow(each, deep=True) for each in value)}]"
    return scalar(value, flow=not top)


def _values(value: dict[str, Any] | list[Any]) -> list[Any]:
    return [*value.values()] if isinstance(value, dict) else value


def scalar(value: Any, flow: bool) -> str:
    """A scalar as our reader takes it, and every other reader of YAML too."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        mantissa, _, exponent = repr(value).partition("e")
        mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return str(value) if isinstance(value, int) else string(value, flow)


def string(text: str, flow: bool) -> str:
    """A string, quoted where it would be read as something else."""
    bare = (_WORDS if flow else _LINE).fullmatch(text)
    if bare and not _OTHER_YAML.fullmatch(text) and _is_string(text):
        return text
    if text.isprintable():
        quoted = text.replace("'", "''")
        return f"'{quoted}'"
    written: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)
    return written.rstrip("\n")


def _is_string(text: str) -> bool:
    try:
        return isinstance(resolve(text), str)
    except BadScalar:
        return False


def foldable(value: Any) -> bool:
    """Whether a text means the same when its lines are folded."""
    return isinstance(value, str) and value.isprintable() and value == " ".join(value.split())
