"""Tokens of a pattern, and a note of everything that is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from composer.errors import Place, Problem
from composer.pattern.letters import foreign, replaced
from composer.pattern.words import Locate

MAX_CHARACTERS = 16_384
_MOST_SHOWN = 20

_TOKEN = re.compile(
    r"""[ \t\r\n]* (?: (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*) | (?P<number>[0-9]+)
              | (?P<mark>[,+()×*=]) | (?P<end>\Z) | (?P<other>.) )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A name, a number, a mark of the grammar, another character, or the end, with its offsets."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def shown(self) -> str:
        """The token as an error names it."""
        return repr(self.text[:40]) if self.text else "the end"


class Stop(Exception):
    """A mistake in form was noted; nothing after it can be trusted."""


class Scanner:
    """A text with one token of look-ahead, and the problems found so far."""

    def __init__(self, text: str, locate: Locate, path: str) -> None:
        self.text, self.locate, self.path = text, locate, path
        self.problems: list[Problem] = []
        self.token = Token("end", "", 0, 0)
        self.previous = self.token

    def start(self) -> None:
        """Check the characters and move to the first token."""
        if len(self.text) > MAX_CHARACTERS:
            self.stop("E207", f"the pattern is longer than {MAX_CHARACTERS:,} characters", 0, 1)
        found = list(foreign(self.text))
        for each in found[:_MOST_SHOWN]:
            self.note("E201", f"unexpected character {each.character!r}", each.at, each.at + 1, each.hint)
        if not all(each.meant for each in found):
            raise Stop
        self.text = replaced(self.text, found)
        self.next(0)

    def next(self, at: int | None = None) -> Token:
        """Move to the next token, or to the one at an offset, and return the one that was current."""
        self.previous = self.token
        match = _TOKEN.match(self.text, self.token.end if at is None else at)
        assert match is not None  # the last two alternatives match anything
        kind = match.lastgroup or "end"
        self.token = Token(kind, match[kind], match.start(kind), match.end(kind))
        return self.previous

    def note(self, code: str, message: str, start: int, end: int, hint: str = "", **rest: str) -> None:
        """Remember a mistake in meaning and go on."""
        place = self.locate(start, max(1, end - start))
        self.problems.append(Problem(code, message, place, self.path, hint, **rest))

    def stop(self, code: str, message: str, start: int, end: int, hint: str = "", **rest: str) -> NoReturn:
        """Remember a mistake in form and give up."""
        self.note(code, message, start, end, hint, **rest)
        raise Stop

    def unexpected(self, expected: str, hint: str = "") -> NoReturn:
        """Give up at a token that cannot stand here."""
        token = self.token
        message = f"expected {expected}, found {token.shown}"
        self.stop("E202", message, token.start, token.end, hint, expected=expected, found=token.shown)

    def unclosed(self, opened: Token) -> NoReturn:
        """Give up at the end of the text, with a "(" still open."""
        self.stop("E202", "this '(' is never closed", opened.start, opened.end, "write ')'")

    def source(self, start: int, end: int) -> str:
        """A stretch of the text on one line, short enough for a message."""
        text = " ".join(self.text[start:end].split())
        return text if len(text) <= 60 else f"{text[:59]}…"


def in_text(text: str, name: str = "<pattern>") -> Locate:
    """Places inside a text that stands in no file."""

    def locate(start: int, width: int) -> Place:
        begin = text.rfind("\n", 0, start) + 1
        shown = text[begin:].split("\n", 1)[0]
        left = begin + len(shown) - start
        return Place(name, text.count("\n", 0, start) + 1, start - begin + 1, max(1, min(width, left)), shown)

    return locate
