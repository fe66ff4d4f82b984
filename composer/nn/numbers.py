"""What users say about the rows of a cache, read strictly: numbers of tokens, and which rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

from torch import Tensor

from composer.errors import CacheError, fail


def whole(number: object) -> int:
    """The number if it is a whole one, else one that no size can be."""
    if isinstance(number, bool):
        return -1
    try:
        return index(number)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return -1


def each_row(tokens: object, rows: int) -> list[int]:
    """One number for each row; what is neither a whole number nor a row of them fits nothing."""
    listed = _listed(tokens)
    return [whole(tokens)] * rows if listed is None else listed


def rows_named(asked: object, rows: int, *, what: str, count: int | None = None) -> list[int]:
    """Row numbers from 0, at least one, `count` of them where it is given.  Raises CacheError E809."""
    named = _listed(asked) or []
    wrong = not named or any(not 0 <= row < rows for row in named)
    if wrong or (count is not None and len(named) != count):
        fail(
            CacheError,
            "E809",
            f"cannot {what} {asked!r} of a cache of {rows} rows",
            hint=f"{'' if count is None else f'{count} '}row numbers from 0 to {rows - 1}",
        )
    return named


def _listed(numbers: object) -> list[int] | None:
    if isinstance(numbers, Tensor):
        if numbers.dim() != 1:
            return None
        return [whole(number) for number in numbers.tolist()]
    if isinstance(numbers, Sequence | Iterable) and not isinstance(numbers, str | bytes):
        return [whole(number) for number in numbers]
    return None
