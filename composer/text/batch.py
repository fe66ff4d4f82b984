"""Several texts as one rectangle of ids with the mask that says which are real."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from composer.errors import TextError, fail

if TYPE_CHECKING:
    import torch

SIDES = ("left", "right")


class Batch(NamedTuple):
    """`input_ids` and `attention_mask`, both (batch, longest) of int64; the mask is 0 on padding, else 1."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor


def rectangle(rows: Sequence[list[int]], pad: int | None, side: str, multiple: int | None) -> Batch:
    """Rows padded on `side` to the longest, rounded up to `multiple`; E608 where `pad` is needed but None."""
    import torch

    width = padded_width(rows, multiple)
    if pad is None and any(len(row) < width for row in rows):
        hint = "give texts of one length, or pad_token_id=, for instance the tokenizer's eos_token_id"
        fail(TextError, "E608", "the rows differ in length and this tokenizer names no pad token", hint=hint)
    filler = 0 if pad is None else pad
    ids = torch.full((len(rows), width), filler, dtype=torch.int64)
    mask = torch.zeros((len(rows), width), dtype=torch.int64)
    for n, row in enumerate(rows):
        where = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[n, where] = torch.tensor(row, dtype=torch.int64)
        mask[n, where] = 1
    return Batch(ids, mask)


def padded_width(rows: Sequence[list[int]], multiple: int | None) -> int:
    """Length of the longest row, rounded up to `multiple`."""
    longest = max(map(len, rows))
    return longest if not multiple else -(-longest // multiple) * multiple


def check_shape(side: str, multiple: int | None, max_length: int | None) -> None:
    """TextError E609 for arguments that say nothing possible."""
    if side not in SIDES:
        fail(TextError, "E609", f"padding_side is {side!r}", path="padding_side", hint="'left' or 'right'")
    for name, value in (("pad_to_multiple_of", multiple), ("max_length", max_length)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            fail(TextError, "E609", f"{name} is {value!r}", path=name, hint="a whole number >= 1 or None")


def check_length(rows: Sequence[list[int]], max_length: int | None) -> None:
    """TextError E610 for a row that is too long; a text is never cut silently."""
    for n, row in enumerate(rows):
        if max_length is not None and len(row) > max_length:
            hint = "shorten the text, or cut its ids yourself; texts are never cut silently"
            message = f"text {n} has {len(row)} tokens, more than max_length {max_length}"
            fail(TextError, "E610", message, hint=hint)
