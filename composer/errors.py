"""Every error a user can cause, as data: a stable code, a place, a sentence, and what to write instead.

ComposerError
├── SpecError         a spec, a pattern, an option (E1xx YAML, E2xx pattern, E3xx spec and plan)
├── PluginError       a plugin that cannot be used (E4xx)
├── WeightsError      a checkpoint folder, a safetensors file, a saved folder (E5xx)
├── TextError         a tokenizer or a text (E6xx)
├── CallError         arguments of a model call or of generation (E7xx)
├── CacheError        a cache used in a way its state does not allow (E8xx)
└── UsageError        a command line or a training run (E9xx)
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

Path = tuple[str | int, ...]
MOST_SHOWN = 200  # characters of a line in an excerpt


@dataclass(frozen=True)
class Place:
    """A stretch of one line of a file: line and column count from 1, in characters."""

    file: str
    line: int
    column: int
    width: int = 1
    text: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def excerpt(self) -> str:
        """The source line, or what of a long one is around the stretch, with carets aligned by display width."""
        text, start = self.text.expandtabs(1), self.column - 1
        begin = 0 if len(text) <= MOST_SHOWN else max(0, start - MOST_SHOWN // 3)
        end = begin + MOST_SHOWN
        lead = ("…" if begin else "") + printable(text[begin:start])
        marked = printable(text[start : min(start + self.width, end)])
        rest = printable(text[start + self.width : end]) + ("…" if end < len(text) else "")
        gutter = f"{self.line:>5} | "
        marks = "^" * max(1, display_width(marked))
        return f"{gutter}{lead}{marked}{rest}\n{' ' * (len(gutter) - 2)}| {' ' * display_width(lead)}{marks}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    `code` is stable across releases, `path` is the key path (`blocks.swa.sliding_window`), `hint` says
    what to write instead.
    """

    code: str
    message: str
    place: Place | None = None
    path: str = ""
    hint: str = ""
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        lead = "".join(f"{part}: " for part in (self.place, printable(self.path)) if part)
        lines = [f"{lead}{printable(self.message)} [{self.code}]"]
        if self.place and self.place.text:
            lines.append(self.place.excerpt())
        if self.hint:
            lines.append(f"   hint: {printable(self.hint)}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The same facts for a program; places are flattened to file, line, column and width."""
        place = self.place
        return {
            "code": self.code,
            "message": self.message,
            "file": place.file if place else None,
            "line": place.line if place else None,
            "column": place.column if place else None,
            "width": place.width if place else None,
            "path": self.path,
            "expected": self.expected,
            "found": self.found,
            "hint": self.hint,
        }


class ComposerError(Exception):
    """One or more problems; all that were found in one pass, never only the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))

    @property
    def code(self) -> str:
        """The code of the first problem."""
        return self.problems[0].code

    def to_json(self) -> list[dict[str, Any]]:
        """Every problem as plain data."""
        return [problem.to_json() for problem in self.problems]


class SpecError(ComposerError):
    """A spec that says something impossible, misspelt or contradictory."""


class PluginError(ComposerError):
    """A plugin that is broken, misspelt, duplicate or made for another host."""


class WeightsError(ComposerError):
    """A checkpoint that is missing, damaged, hostile, or not the model that was asked for."""


class TextError(ComposerError):
    """A tokenizer that cannot be read, or a text it cannot take."""


class CallError(ComposerError):
    """Arguments of a model call or of generation that contradict each other or the model."""


class CacheError(ComposerError):
    """A cache asked for something that its state cannot do."""


class UsageError(ComposerError):
    """A command or a training run that was asked for in a way that cannot work."""


def fail(kind: type[ComposerError], code: str, message: str, **rest: Any) -> NoReturn:
    """Raise `kind` with one problem."""
    raise kind(Problem(code, message, **rest))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'swa'?`, or an empty string when nothing is near."""
    names = [str(each)[:200] for each in islice(known, 1000)]  # each is compared letter by letter
    near = difflib.get_close_matches(word[:200], names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def dotted(path: Path) -> str:
    """A key path as users write it: `overrides.0.set.sliding_window`."""
    return ".".join(map(str, path))


def display_width(text: str) -> int:
    """Columns that a terminal uses for `text`: wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def printable(text: str, most: int = 2000) -> str:
    """`text` without control characters (a name from a file must not steer the terminal), cut at `most`."""
    text = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(
        c
        if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else f"\\x{ord(c):02x}"
        for c in text
    )
