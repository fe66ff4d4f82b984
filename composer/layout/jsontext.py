"""JSON of strangers, read strictly: what `json` would decide in silence is an error here."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class JsonProblem(ValueError):
    """Why a text is not acceptable JSON; `line` and `column` count from 1 and are 0 where unknown."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


INFINITY = {"__float__": "Infinity"}
"""Infinity as the transformers library writes it today; once it wrote the bare word, which is not JSON."""


def parse_json(text: bytes | str, infinity: bool = False) -> Any:
    """`text` as plain data; with `infinity` the bare word stands for `INFINITY`.

    Raises `JsonProblem` on a syntax error, bytes that are not UTF-8, a key written twice, NaN or infinity
    (also as 1e999), absurdly long numbers, and nesting too deep to walk.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        return json.loads(
            decoded,
            object_pairs_hook=_unique,
            parse_constant=_infinity if infinity else _constant,
            parse_float=_finite,
            parse_int=_short,
        )
    except UnicodeDecodeError as error:
        raise JsonProblem(f"is not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise JsonProblem(f"is not JSON: {error.msg}", error.lineno, error.colno) from None
    except RecursionError:
        raise JsonProblem("is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonProblem(f"has the key {key!r} twice")
            seen.add(key)
    return found


def _infinity(word: str) -> Any:
    return dict(INFINITY) if word == "Infinity" else _constant(word)


def _constant(word: str) -> NoReturn:
    raise JsonProblem(f"holds {word}, which is not a number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise JsonProblem(f"holds {digits[:40]}, which is too large for a number")
    return value


def _short(digits: str) -> int:
    if len(digits) > 40:
        raise JsonProblem(f"holds an integer of {len(digits)} digits")
    return int(digits)
