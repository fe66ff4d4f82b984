"""What expressions may do with lists and numbers; no list becomes longer than a model can be deep."""

from __future__ import annotations

from typing import Any

from ..pattern.parse import MAX_LAYERS
from ..pattern.shortest import shortest_cycle


def numbers_below(count: Any) -> list[int]:
    """0, 1, ... below `count`.  Raises TypeError and ValueError."""
    if type(count) is not int:
        raise TypeError(count)
    if count > MAX_LAYERS:
        raise ValueError(count)
    return list(range(count))


def joined(sign: str, first: list[Any], second: Any) -> list[Any]:
    """Two lists one behind the other, or one list several times.  Raises TypeError and ValueError."""
    if sign == "+" and isinstance(second, list):
        length, parts = len(first) + len(second), [first, second]
    elif sign == "*" and type(second) is int:
        length, parts = len(first) * second, [first] * min(second, MAX_LAYERS)
    else:
        raise TypeError(second)
    if length > MAX_LAYERS:
        raise ValueError(length)
    return [item for part in parts for item in part]


def cycle(words: Any) -> dict[str, str]:
    """The short pattern that cycles to a list of words, and what the spec's `remainder` has to be.

    Raises TypeError, and SpecError for what is not a word.
    """
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TypeError(words)
    pattern, remainder = shortest_cycle(words)
    return {"pattern": pattern, "remainder": remainder}


def listed(value: Any) -> list[Any]:
    """A list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def whole(value: Any) -> int:
    """A whole number, which some files write as text.  Raises TypeError."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        return int(value)
    if type(value) is not int:
        raise TypeError(value)
    return value
