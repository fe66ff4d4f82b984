"""The arguments of a block in a pattern: `(rope=none, sliding_window=1024)`."""

from __future__ import annotations

import re
from typing import NoReturn

from composer.pattern.scan import Scanner, Token
from composer.source import BadScalar, Scalar, resolve

_SPACE = r"[ \t\r\n]*"
_KEY = re.compile(rf"{_SPACE}([A-Za-z_][A-Za-z0-9_]*){_SPACE}={_SPACE}")
_VALUE = re.compile(
    r"""'(?P<single>[^'\n]*)' | "(?P<double>[^"\n]*)"
      | (?P<bare> [-+]?\.?[0-9][A-Za-z0-9_.]*(?:(?<=[eE])[-+][0-9]+)?      # a number
                | [-+]?\.[A-Za-z]+ | [A-Za-z_][A-Za-z0-9_.-]*)             # .inf, a name""",
    re.VERBOSE,
)
_CLOSE = re.compile(rf"{_SPACE}([,)])")


def arguments(scan: Scanner) -> dict[str, Scalar]:
    """Read from the "(" that is the current token to behind its ")"."""
    opened, found = scan.token, dict[str, Scalar]()
    at, close = opened.end, ","
    while close == ",":
        key = _KEY.match(scan.text, at)
        if not key:
            _not_a_key(scan, at, opened)
        if key[1] in found:
            scan.note("E208", f"argument {key[1]!r} is given twice", *key.span(1))
        found[key[1]], at = _value(scan, key)
        behind = _CLOSE.match(scan.text, at)
        if not behind:
            _not_closed(scan, at, opened)
        close, at = behind[1], behind.end()
    scan.next(at - 1)
    scan.next()
    return found


def _value(scan: Scanner, key: re.Match[str]) -> tuple[Scalar, int]:
    """The value behind "key =", and where it ends."""
    match = _VALUE.match(scan.text, key.end())
    if not match:
        scan.next(key.end())
        scan.unexpected(f"a value for {key[1]!r}", "a number, true, false, null, a name or a quoted string")
    if match["bare"] is None:
        return match[1] if match[1] is not None else match[2], match.end()
    try:
        return _resolved(match["bare"]), match.end()
    except BadScalar as bad:
        scan.note("E208", bad.message, *match.span(), bad.hint)
        return None, match.end()


def _resolved(text: str) -> Scalar:
    value = resolve(text)
    if isinstance(value, str) and not re.match("[A-Za-z_]", value):
        raise BadScalar("E208", f"{value} is not a number", "quote it if it is a string")
    return value


def _not_a_key(scan: Scanner, at: int, opened: Token) -> NoReturn:
    scan.next(at)
    if scan.token.kind == "end":
        scan.unclosed(opened)
    group = "a '(' that touches a name opens arguments: key=value; for a group write ', ('"
    scan.unexpected("key=value", group)


def _not_closed(scan: Scanner, at: int, opened: Token) -> NoReturn:
    scan.next(at)
    if scan.token.kind == "end":
        scan.unclosed(opened)
    scan.unexpected("',' or ')'", "quote a value that is neither a number nor a name")
