"""Where words go: data to stdout, talk to stderr, whatever the encoding of either."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from composer.errors import Problem, UsageError, fail, printable

# What a terminal that knows no better can still show; `*` is a repeat in a pattern just as `×` is.
_PLAIN = {"×": "*", "…": "...", "·": ".", "→": "->", "–": "-"}


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escaped = (_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(escaped), error.end


def prepare() -> None:
    """Make both streams take any text: what their encoding lacks is written in ASCII."""
    codecs.register_error("plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")


def data(text: str, end: str = "\n") -> None:
    """Write to stdout."""
    print(text, end=end, flush=True)


def json_data(value: Any) -> None:
    """Write JSON to stdout, in ASCII."""
    data(json.dumps(value, indent=2, default=str))


def talk(text: str, end: str = "\n") -> None:
    """Write to stderr, after all data so far."""
    print(text, end=end, file=sys.stderr, flush=True)


def tell(problems: Iterable[Problem]) -> None:
    """Every problem for people."""
    for problem in problems:
        talk(str(problem))


def warn(message: object, *_: object, **__: object) -> None:
    """A warning of Python as one line."""
    talk(f"warning: {printable(str(message))}")


def stdin_text() -> str:
    """All of stdin, which is UTF-8 whatever the locale.  Raises UsageError E910."""
    try:
        if isinstance(sys.stdin, io.TextIOWrapper):
            return sys.stdin.buffer.read().decode("utf-8")
        return sys.stdin.read()
    except (UnicodeDecodeError, AttributeError):
        hint = "give a file, or pipe text into it"
        fail(UsageError, "E910", "stdin is closed or no UTF-8 text", hint=hint)


def terminal() -> bool:
    """Whether data and talk meet on one screen."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def close_quietly() -> None:
    """After the reader of stdout has gone: what is left goes nowhere, and nobody complains at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
