"""The border of a call: masks in every form, padding on either side, which logits are kept, what comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from composer.nn import Model

from .models import VOCAB, close, ids, model

LENGTHS = (7, 4, 1)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def built() -> Model:
    """A full layer and a window."""
    return model([None, 3])


def padded(side: str, seed: int = 0) -> tuple[Tensor, Tensor, list[Tensor]]:
    """(3, 7) ids and mask with padding on one side, and each row's own tokens."""
    whole, pads = ids(3, 7, seed), ids(3, 7, seed + 100)
    mask = torch.zeros(3, 7, dtype=torch.long)
    for b, n in enumerate(LENGTHS):
        span = slice(7 - n, 7) if side == "left" else slice(0, n)
        pads[b, span], mask[b, span] = whole[b, :n], 1
    return pads, mask, [whole[b : b + 1, :n] for b, n in enumerate(LENGTHS)]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_padding_is_invisible(built: Model, side: str, dtype: torch.dtype) -> None:
    """Logits of real tokens stand in the caller's columns and are those of the row alone."""
    tokens, mask, rows = padded(side)
    logits = built(tokens, attention_mask=mask.to(dtype)).logits
    for b, row in enumerate(rows):
        assert close(logits[b][mask[b] == 1], built(row).logits[0])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kept", [1, 2, 5, 7, 9])
def test_last_logits_are_the_last_real_tokens(built: Model, side: str, kept: int) -> None:
    """A number counts real tokens from the end of each row, wherever its padding is."""
    tokens, mask, rows = padded(side)
    logits = built(tokens, attention_mask=mask, logits_to_keep=kept).logits
    assert (3, min(kept, 7), VOCAB) == tuple(logits.shape)
    for b, row in enumerate(rows):
        n = min(kept, LENGTHS[b])
        assert close(logits[b, -n:], built(row).logits[0, -n:])
        assert not logits[b, :-n].any()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("columns", [[6], [0, 3], [5, 1, 5], [-1], []])
def test_named_columns_are_the_callers(built: Model, side: str, columns: list[int]) -> None:
    """A tensor names columns of the input, in any order."""
    tokens, mask, _ = padded(side)
    every = built(tokens, attention_mask=mask).logits

    logits = built(tokens, attention_mask=mask, logits_to_keep=torch.tensor(columns, dtype=torch.long)).logits
    torch.testing.assert_close(logits, every[:, columns], rtol=1e-5, atol=1e-5)


def test_an_empty_row_among_others(built: Model) -> None:
    """A row without a real token is all padding and disturbs nobody."""
    tokens, mask, rows = padded("left")
    mask[2] = 0
    logits = built(tokens, attention_mask=mask).logits

    assert close(logits[0], built(rows[0]).logits[0])
    assert logits.isfinite().all()


def test_a_batch_of_nothing_but_padding(built: Model) -> None:
    """Nothing is real, nothing is remembered, and nothing breaks."""
    cache = built.new_cache(2)
    logits = built(ids(2, 3), attention_mask=torch.zeros(2, 3), past_key_values=cache).logits

    assert logits.isfinite().all()
    assert [0, 0] == cache.lengths


@pytest.mark.parametrize("order", ["left", "right", "scattered"])
def test_mask_over_remembered_tokens(built: Model, order: str) -> None:
    """The remembered part says how many there are; where they once stood does not matter."""
    tokens, mask, rows = padded("left")
    more = ids(3, 2, seed=5)
    cache = built.new_cache(3)
    built(tokens, attention_mask=mask, past_key_values=cache)
    past = {"left": mask, "right": mask.flip(1), "scattered": mask[:, torch.randperm(7)]}[order]
    both = torch.cat([past, torch.ones(3, 2, dtype=torch.long)], 1)
    logits = built(more, attention_mask=both, past_key_values=cache).logits
    for b, row in enumerate(rows):
        assert close(logits[b], built(torch.cat([row, more[b : b + 1]], 1)).logits[0, -2:])


def test_a_hole_needs_positions(built: Model) -> None:
    """With position_ids the tokens around a hole keep the places that they name."""
    tokens, hole = ids(1, 6), torch.tensor([[1, 1, 0, 0, 1, 1]])
    real = torch.tensor([[0, 1, 4, 5]])
    logits = built(tokens, attention_mask=hole, position_ids=torch.arange(6)[None]).logits
    expected = built(tokens[:, real[0]], position_ids=real).logits

    assert close(logits[:, real[0]], expected)


@pytest.mark.parametrize("side", ["left", "right"])
def test_positions_turn_and_nothing_else(built: Model, side: str) -> None:
    """Rotary angles are relative: all positions moved by one number change nothing; stretched ones do."""
    tokens, mask, _ = padded(side)
    place = (mask.cumsum(1) - 1).clamp_min(0)
    plain = built(tokens, attention_mask=mask).logits
    moved = built(tokens, attention_mask=mask, position_ids=place + 11).logits
    stretched = built(tokens, attention_mask=mask, position_ids=place * 5).logits

    assert close(moved[mask == 1], plain[mask == 1], 1e-4)
    assert not close(stretched[mask == 1], plain[mask == 1], 1e-2)


def test_one_row_of_positions_serves_all(built: Model) -> None:
    """(1, T) position_ids are those of every row."""
    place = torch.arange(4, 9)[None]
    one = built(ids(3, 5), position_ids=place).logits

    assert torch.equal(one, built(ids(3, 5), position_ids=place.expand(3, 5)).logits)


def test_positions_over_a_cache(built: Model) -> None:
    """Angles follow position_ids, while who sees whom follows the order of tokens."""
    tokens, place = ids(1, 8), torch.arange(8)[None] * 3
    cache = built.new_cache(1)
    parts = [
        built(t, position_ids=p, past_key_values=cache).logits
        for t, p in zip(tokens.split(3, 1), place.split(3, 1), strict=True)
    ]

    assert close(torch.cat(parts, 1), built(tokens, position_ids=place).logits)


@pytest.mark.parametrize("side", ["left", "right"])
def test_packed_sequences_under_padding(built: Model, side: str) -> None:
    """Rows that hold several sequences and padding return what each sequence returns alone."""
    tokens, segments, mask = ids(2, 9), torch.zeros(2, 9, dtype=torch.long), torch.zeros(2, 9)
    lengths = [(4, 3, 2), (1, 5)]
    for b, each in enumerate(lengths):
        span = slice(9 - sum(each), 9) if side == "left" else slice(0, sum(each))
        numbers = torch.repeat_interleave(torch.arange(len(each)), torch.tensor(each))
        segments[b, span], mask[b, span] = numbers, 1
    logits = built(tokens, attention_mask=mask, segment_ids=segments).logits
    for b, each in enumerate(lengths):
        parts = tokens[b][mask[b] == 1].split(list(each))
        expected = torch.cat([built(part[None]).logits[0] for part in parts])
        assert close(logits[b][mask[b] == 1], expected)


def test_neighbouring_sequences_of_one_number_are_one(built: Model) -> None:
    """Numbers only have to differ from their neighbours; the values mean nothing."""
    tokens = ids(1, 6)
    a = built(tokens, segment_ids=torch.tensor([[0, 0, 1, 1, 1, 2]])).logits
    b = built(tokens, segment_ids=torch.tensor([[7, 7, -3, -3, -3, 7]])).logits

    assert torch.equal(a, b)


@pytest.mark.parametrize("side", ["left", "right"])
def test_embeddings_stand_for_ids(built: Model, side: str) -> None:
    """inputs_embeds taken from the table give the logits of the ids, and are left as they are."""
    tokens, mask, _ = padded(side)
    embeds = built.embed(tokens)
    before = embeds.clone()
    cache, other = built.new_cache(3), built.new_cache(3)
    a = built(tokens, attention_mask=mask, past_key_values=cache).logits
    b = built(inputs_embeds=embeds, attention_mask=mask, past_key_values=other).logits

    assert torch.equal(a[mask == 1], b[mask == 1])
    assert torch.equal(before, embeds)
    assert cache.lengths == other.lengths


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.uint16, torch.int32])
def test_ids_of_any_whole_type(built: Model, dtype: torch.dtype) -> None:
    """Small types, as data sets keep them, give what int64 gives."""
    tokens = ids(2, 5)
    expected, actual = (built(each, labels=each) for each in (tokens, tokens.to(dtype)))

    assert torch.equal(expected.logits, actual.logits)
    assert expected.loss == actual.loss
