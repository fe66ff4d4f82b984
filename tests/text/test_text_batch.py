"""Batches: both padding sides, masks, widths, and ids as AutoTokenizer gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.text import Tokenizer, load_tokenizer

TEXTS = ["a b c", "a", "", "b b"]


@pytest.fixture
def tokenizer(make: Callable[..., Path]) -> Tokenizer:
    return load_tokenizer(make({}, tokenizer_config={"pad_token": "</s>"}))


@pytest.mark.parametrize(
    ("side", "ids", "mask"),
    [
        ("left", [[3, 4, 5], [2, 2, 3], [2, 2, 2], [2, 4, 4]], [[1, 1, 1], [0, 0, 1], [0, 0, 0], [0, 1, 1]]),
        ("right", [[3, 4, 5], [3, 2, 2], [2, 2, 2], [4, 4, 2]], [[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]]),
    ],
)
def test_padding_sides(tokenizer: Tokenizer, side: str, ids: list[Any], mask: list[Any]) -> None:
    """Pads stand on the asked side and the mask is 0 there."""
    batch = tokenizer.batch(TEXTS, padding_side=side)
    assert ids == batch.input_ids.tolist()
    assert mask == batch.attention_mask.tolist()


def test_the_width_is_rounded_up(tokenizer: Tokenizer) -> None:
    """To a multiple; a row that is already one stays."""
    assert (4, 8) == tokenizer.batch(TEXTS, pad_to_multiple_of=8).input_ids.shape
    assert (1, 3) == tokenizer.batch(["a b c"], pad_to_multiple_of=3).input_ids.shape


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("multiple", [None, 8])
def test_batches_are_autotokenizers(
    mistral_v1: Path, sample: list[str], side: str, multiple: int | None
) -> None:
    """The whole multilingual sample, padded with the unknown token as its config asks."""
    import torch
    from transformers import PreTrainedTokenizerFast

    ours = load_tokenizer(mistral_v1).batch(sample, side, multiple, pad_token_id=0)
    reference = PreTrainedTokenizerFast.from_pretrained(mistral_v1, pad_token="<unk>")
    theirs = reference(
        sample, padding=True, padding_side=side, pad_to_multiple_of=multiple, return_tensors="pt"
    )
    assert torch.equal(theirs["input_ids"], ours.input_ids)
    assert torch.equal(theirs["attention_mask"], ours.attention_mask)
    assert torch.int64 == ours.input_ids.dtype == ours.attention_mask.dtype


def test_the_side_comes_from_the_files(make: Callable[..., Path]) -> None:
    """tokenizer_config.json says it; an argument goes before it."""
    tokenizer = load_tokenizer(make({}, tokenizer_config={"padding_side": "left", "pad_token": "</s>"}))
    assert [[3, 4], [2, 3]] == tokenizer.batch(["a b", "a"]).input_ids.tolist()
    assert [[3, 4], [3, 2]] == tokenizer.batch(["a b", "a"], padding_side="right").input_ids.tolist()


def test_texts_of_one_length_need_no_pad_token(make: Callable[..., Path]) -> None:
    """Only a row that is shorter than another does."""
    batch = load_tokenizer(make({})).batch(["a b", "b a"], max_length=2)
    assert [[3, 4], [4, 3]] == batch.input_ids.tolist()
    assert bool(batch.attention_mask.all())


def test_special_tokens_can_be_left_out(mistral_v1: Path) -> None:
    """As in `encode`."""
    tokenizer = load_tokenizer(mistral_v1)
    assert [[1, 22557]] == tokenizer.batch(["Hello"]).input_ids.tolist()
    assert [[22557]] == tokenizer.batch(["Hello"], add_special_tokens=False).input_ids.tolist()


def test_rows_of_a_batch_decode_one_by_one(tokenizer: Tokenizer) -> None:
    """A row of the tensor is a sequence of ids; pads are special and skipped."""
    rows = tokenizer.batch(TEXTS).input_ids
    assert ["a b c", "a", "", "b b"] == [tokenizer.decode(row) for row in rows]
