"""What an unquoted YAML scalar means: null, true, false, a whole number, a number, or a string."""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "true": True, "false": False}
_DIGITS = r"[1-9][0-9]*(?:_[0-9]+)*"
_INT = re.compile(rf"[-+]?(?:0|{_DIGITS})")
_FLOAT = re.compile(rf"[-+]?(?:(?:0|{_DIGITS})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MOST_DIGITS = 40


class BadScalar(ValueError):
    """A scalar that looks like a number and must not be guessed at: `code`, a sentence and a hint."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar.

    `yes`, `off`, `1:30`, `0x10` and `2024-01-01` are strings, `1e-5` is a number; whole numbers fit in 64
    bits.
    Raises BadScalar for `017`, `.inf` and numbers that no float holds.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text):
        return _number(text)
    if _LEADING_ZERO.fullmatch(text):
        bare = re.sub(r"(?<![0-9.])0[0_]*(?=[0-9])", "", text)
        raise BadScalar("E113", f"{_short(text)} starts with 0", f"write {_short(bare)}, or quote a string")
    if _NOT_FINITE.fullmatch(text):
        raise BadScalar("E112", f"{text} is not a finite number", "an open bound is written null")
    return text


def _whole(text: str) -> int:
    if len(text) <= _MOST_DIGITS and -(2**63) <= (value := int(text)) < 2**63:
        return value
    raise BadScalar("E112", f"{_short(text)} does not fit in 64 bits", "quote it if it is a string")


def _number(text: str) -> float:
    value = float(text)
    mantissa = re.split("[eE]", text)[0]
    if math.isfinite(value) and (value != 0 or not re.search("[1-9]", mantissa)):
        return value
    size = "small" if value == 0 else "large"
    raise BadScalar("E112", f"{_short(text)} is too {size} for a number", "quote it if it is a string")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_DIGITS else f"{text[:_MOST_DIGITS]}…"
