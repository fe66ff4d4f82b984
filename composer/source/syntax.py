"""What the YAML parser complains about, in words for someone who writes a spec."""

from __future__ import annotations

import re

from composer.errors import Problem
from composer.source.document import Lines
from composer.source.letters import first_foreign, punctuation_hint

MAX_SHOWN = 50

_COMMENT = re.compile(r"(?:^|\s)#.*")
_NO_COLON = "a key without ':'"
_COLON = "quote a value that contains ': ', or check the indentation"
# What the parser's message contains -> our sentence and hint.
_KNOWN = (
    ("character '\\t'", "a tab cannot stand here", "indent with spaces"),
    ("mapping values are not allowed", "a second ':' in one value, or a line that is not aligned", _COLON),
    ("could not find expected ':'", _NO_COLON, _COLON),
    ("found unknown escape character", "an unknown escape in a double-quoted string", "use single quotes"),
    ("expected escape sequence", "an unfinished escape in a double-quoted string", "use single quotes"),
    ("expected alphabetic or numeric character", "an anchor or alias without a name", "quote it"),
    ("expected <block end>", "this line does not fit the lines above it", "check indents, commas, quotes"),
    ("expected ',' or ']'", "expected ',' or ']'", "check commas, quotes and brackets"),
    ("expected ',' or '}'", "expected ',' or '}'", "check commas, quotes and brackets"),
    ("that cannot start any token", "this character cannot start a value", "quote the value"),
)


def not_shown(more: int) -> list[Problem]:
    """The problem that stands for those that were left out, if any."""
    return [Problem("E116", f"{more:,} more problems are not shown")] if more > 0 else []


def syntax_problem(error: Exception, lines: Lines, position: int) -> Problem:
    """One problem for an error of the YAML parser; `position` is where it stopped."""
    words = getattr(error, "problem", None) or "a number or an escape that is out of range"
    message, hint = next((known[1:] for known in _KNOWN if known[0] in words), (words, ""))
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    start = mark.index if mark else position
    before = context.index if context and context.index < start else start
    if before < start >= len(lines.text.rstrip()):
        start, message, hint = before, "this is never closed", "check quotes and brackets"
    elif message == _NO_COLON:
        start = before
    elif message.startswith("expected ',' or"):
        opened = lines.place(before, before + 1)
        hint = f"{lines.text[before]!r} in line {opened.line} is open; {hint}"
    foreign = foreign_near(start, lines)
    if foreign is not None:
        start, hint = foreign, punctuation_hint(lines.text[foreign])
    return Problem("E105", f"not valid YAML: {message}", lines.place(start, start + 1), hint=hint)


def foreign_near(position: int, lines: Lines) -> int | None:
    """Where punctuation of an input method stands, in the line of a position or in the one above it."""
    here = lines.place(position, position).line - 1
    for line in (here, here - 1) if here else (here,):
        begin = lines.starts[line]
        end = lines.starts[line + 1] if line + 1 < len(lines.starts) else len(lines.text)
        found = first_foreign(_COMMENT.sub("", lines.text[begin:end]))
        if found is not None:
            return begin + found
    return None
