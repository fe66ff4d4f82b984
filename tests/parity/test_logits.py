"""Logits and tokens against the reference: whole, cached, chunked, padded, packed."""

from __future__ import annotations

import random

import pytest
import torch

from .. import prove
from .configs import NEW_TOKENS
from .oracle import Pair, relative

TIES = {"rows": 0, "ties": 0}


def test_logits_are_the_references(pair: Pair) -> None:
    """One call without a cache."""
    with torch.no_grad():
        logits = pair.ours(pair.ids).logits

    prove.at_most("logits, over the tolerance", relative(logits, pair.expected) / pair.tolerance, 1)


def test_cached_equals_uncached(newest: Pair) -> None:
    """The whole prompt into a cache, random chunks, and single tokens."""
    length, draw = newest.case.prompt, random.Random(newest.case.number)
    cuts = sorted(draw.sample(range(1, length), k=min(3, length - 1)))
    for name, edges in (
        ("at once", [0, length]),
        ("in chunks", [0, *cuts, length]),
        ("one by one", list(range(length + 1))),
    ):
        cache = newest.ours.new_cache(len(newest.ids), max_length=length)
        with torch.no_grad():
            parts = [
                newest.ours(newest.ids[:, a:b], past_key_values=cache, use_cache=True).logits
                for a, b in zip(edges[:-1], edges[1:], strict=True)
            ]

        distance = relative(torch.cat(parts, 1), newest.expected)
        prove.at_most(f"cached logits {name}, over the tolerance", distance / newest.tolerance, 1)


def test_greedy_tokens_are_the_references(pair: Pair) -> None:
    """64 new tokens of two full rows."""
    agree(pair, pair.ids, torch.ones_like(pair.ids))


def test_greedy_tokens_of_left_padded_rows_are_the_references(newest: Pair) -> None:
    """64 new tokens of a short and a full row in one batch."""
    ids, mask, _ = padded(newest, "left")

    agree(newest, ids, mask)


def agree(pair: Pair, ids: torch.Tensor, mask: torch.Tensor) -> None:
    """Equal up to the first step at which the reference itself is undecided; such rows are counted."""
    expected, close = pair.greedy(ids, mask)
    everything = pair.ours.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        eos_token_id=pair.case.config["eos_token_id"],
        pad_token_id=0,
    )
    actual = everything[:, ids.shape[1] :]
    assert actual.shape == expected.shape
    for ours, theirs, undecided in zip(actual, expected, close, strict=True):
        wrong = (ours != theirs).nonzero()
        TIES["rows"] += 1
        if len(wrong):
            TIES["ties"] += 1
            assert undecided[: int(wrong[0]) + 1].any(), f"token {int(wrong[0])} differs"


def test_undecided_rows_are_rare() -> None:
    """At most one greedy row in 200 ends at a tie of the reference."""
    rows, ties = TIES["rows"], TIES["ties"]

    prove.at_most("greedy rows that end at a tie", ties, max(rows, 1) / 200, count=rows)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_rows_equal_single_rows(newest: Pair, side: str) -> None:
    """A short and a full row in one batch, the pads random tokens."""
    short, full = newest.lengths()
    ids, mask, real = padded(newest, side)

    with torch.no_grad():
        out = newest.ours(ids, attention_mask=mask).logits

    distance = max(relative(out[0, real], newest.row(0, short)), relative(out[1], newest.row(1, full)))
    prove.at_most(f"{side}-padded rows, over the tolerance", distance / newest.tolerance, 1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_rows_go_on_from_a_cache_as_single_rows(newest: Pair, side: str) -> None:
    """The padded prompt without each row's last token, then that token: rows of different length."""
    short, full = newest.lengths()
    ids, mask, real = padded(newest, side)
    last = torch.tensor([[real.stop - 1], [full - 1]])
    mask.scatter_(1, last, 0)
    cache = newest.ours.new_cache(2, max_length=full)

    with torch.no_grad():
        if side == "left":
            newest.ours(ids[:, :-1], attention_mask=mask[:, :-1], past_key_values=cache, use_cache=True)
        else:
            newest.ours(ids, attention_mask=mask, past_key_values=cache, use_cache=True)
        out = newest.ours(ids.gather(1, last), past_key_values=cache, use_cache=True).logits[:, 0]

    alone = torch.stack((newest.row(0, short)[-1], newest.row(1, full)[-1]))
    prove.at_most(
        f"{side}-padded rows continued, over the tolerance", relative(out, alone) / newest.tolerance, 1
    )


def padded(pair: Pair, side: str) -> tuple[torch.Tensor, torch.Tensor, slice]:
    """Both rows, the first cut to its short length and padded; the mask; where the short row lies."""
    short, full = pair.lengths()
    real = slice(full - short, full) if side == "left" else slice(0, short)
    ids, mask = pair.ids.flip(1), torch.ones_like(pair.ids)
    ids[1], ids[0, real] = pair.ids[1], pair.ids[0, :short]
    mask[0] = 0
    mask[0, real] = 1
    return ids, mask, real


def test_packed_rows_equal_single_rows(newest: Pair) -> None:
    """Three sequences in one row, told apart by `segment_ids`."""
    short, full = newest.lengths()
    pieces = [(0, short), (1, full), (1, short)]
    packed = torch.cat([newest.ids[row, :length] for row, length in pieces])[None]
    segments = torch.cat([torch.full((length,), 1 + i) for i, (_, length) in enumerate(pieces)])[None]

    with torch.no_grad():
        out = newest.ours(packed, segment_ids=segments).logits[0]

    alone = torch.cat([newest.row(row, length) for row, length in pieces])
    prove.at_most("packed rows, over the tolerance", relative(out, alone) / newest.tolerance, 1)
