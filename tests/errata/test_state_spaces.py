"""Errata of Mamba2 layers: each test holds as long as transformers has the fault, and shows that we have not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache

from composer import ComposerError

from .beside import RIGHT, WRONG, alone, apart, ids, left, ours, right, stepwise, theirs


def slow(**changes: Any) -> Any:
    """A Zamba2 whose every step size is near 0.05, where a bound of 0.2 matters."""
    model = theirs("zamba2", time_step_max=0.9, **changes)
    for layer in model.model.layers:
        getattr(layer, "mamba_decoder", layer).mamba.dt_bias.fill_(-3.0)
    return model


def test_errata_01_bound_of_steps() -> None:
    """A bound that holds for several tokens and not for a single one: from a cache comes something else."""
    bounded, free, tokens = slow(time_step_min=0.2), slow(), ids()
    scanned, stepped = bounded(tokens, use_cache=False).logits, stepwise(bounded, tokens)
    assert apart(stepped, scanned[:, 1:]) > WRONG

    authors, followed = ours(bounded), ours(bounded, dt_min=0.2, dt_min_in_step=False)
    assert apart(authors(tokens).logits, free(tokens, use_cache=False).logits) < RIGHT
    assert apart(stepwise(authors, tokens), authors(tokens).logits[:, 1:]) < RIGHT
    assert apart(followed(tokens).logits, scanned) < RIGHT
    assert apart(stepwise(followed, tokens), stepped) < RIGHT


def test_errata_01_bound_everywhere() -> None:
    """With the bound in both places ours agrees with itself and with the scan of transformers."""
    bounded, tokens = slow(time_step_min=0.2), ids()
    model = ours(bounded, dt_min=0.2)

    assert apart(model(tokens).logits, bounded(tokens, use_cache=False).logits) < RIGHT
    assert apart(stepwise(model, tokens), model(tokens).logits[:, 1:]) < RIGHT


def test_errata_01_mamba2() -> None:
    """The same in the family Mamba2, whose files say the bound."""
    model, tokens = theirs("mamba2", time_step_limit=(0.9, float("inf"))), ids()
    expected = model(tokens, use_cache=False).logits
    first = model(tokens[:, :6], use_cache=True)
    next_one = model(tokens[:, 6:7], cache_params=first.cache_params, use_cache=True).logits
    assert apart(next_one, expected[:, 6:7]) > WRONG

    mine = ours(model)
    assert apart(mine(tokens).logits, expected) < RIGHT
    assert apart(stepwise(mine, tokens, 6), expected[:, 6:]) < RIGHT


def test_errata_02_pads_behind_a_prompt() -> None:
    """Pads to the right of a prompt are remembered as if they were text."""
    model, tokens = theirs("zamba2"), ids()
    expected = alone(model, tokens)[:, 5:6]
    padded, mask = right(tokens[:, :5], 2)
    longer = torch.cat([mask, mask[:, :1]], 1)
    cache = model(padded, attention_mask=mask, use_cache=True).past_key_values
    found = model(tokens[:, 5:6], attention_mask=longer, past_key_values=cache).logits
    assert apart(found, expected) > WRONG

    mine = ours(model)
    cache = mine(padded, attention_mask=mask, use_cache=True).past_key_values
    assert apart(mine(tokens[:, 5:6], past_key_values=cache).logits, expected) < RIGHT


@pytest.mark.parametrize(("family", "bias"), [("zamba2", "add_bias_linear"), ("mamba2", "use_bias")])
def test_errata_03_pads_before_biases(family: str, bias: str) -> None:
    """Pads to the left are zeroed before a projection whose bias then makes something of them."""
    model, tokens = theirs(family, **{bias: True}), ids()
    padded, mask = left(tokens, 3)
    expected = alone(model, tokens)
    assert apart(model(padded, attention_mask=mask, use_cache=False).logits[:, 3:], expected) > WRONG

    assert apart(ours(model)(padded, attention_mask=mask).logits[:, 3:], expected) < RIGHT


def test_errata_04_a_single_pad() -> None:
    """A mask is not looked at where a call has one token: a row that waits is moved on all the same."""
    model, tokens = theirs("zamba2"), ids()
    expected, pad = alone(model, tokens)[:, 5:6], torch.zeros(1, 1, dtype=torch.int64)
    cache = model(tokens[:, :5], use_cache=True).past_key_values
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 1]])
    model(pad, attention_mask=mask[:, :6], past_key_values=cache)
    found = model(tokens[:, 5:6], attention_mask=mask, past_key_values=cache).logits
    assert apart(found, expected) > WRONG

    mine = ours(model)
    cache = mine(tokens[:, :5], use_cache=True).past_key_values
    mine(pad, attention_mask=pad, past_key_values=cache)
    assert apart(mine(tokens[:, 5:6], past_key_values=cache).logits, expected) < RIGHT


def test_errata_05_masks_of_four_dimensions() -> None:
    """The same mask, written out in four dimensions, no longer keeps pads out of the states."""
    model, tokens = theirs("zamba2"), ids()
    padded, mask = left(tokens, 3)
    seen = torch.ones(15, 15).tril().bool() & mask.bool()[:, None, None, :]
    written = torch.zeros(1, 1, 15, 15).masked_fill(~seen, torch.finfo(torch.float32).min)
    expected = alone(model, tokens)
    assert apart(model(padded, attention_mask=written, use_cache=False).logits[:, 3:], expected) > WRONG

    mine = ours(model)
    assert apart(mine(padded, attention_mask=mask).logits[:, 3:], expected) < RIGHT
    with pytest.raises(ComposerError, match="E708"):
        mine(padded, attention_mask=written)


def test_errata_06_nothing_but_state_spaces() -> None:
    """A Zamba2 without a shared block cannot be called with a cache, which is the default."""
    model, tokens = theirs("zamba2", layers_block_type=["linear_attention"] * 3), ids()
    with pytest.raises(ValueError, match="get_seq_length"):
        model(tokens)

    assert apart(stepwise(ours(model), tokens), alone(model, tokens)[:, 1:]) < RIGHT


def test_errata_07_going_back() -> None:
    """`crop` takes tokens from keys and values and leaves the states where they are."""
    model, tokens = theirs("zamba2"), ids()
    expected, cache = alone(model, tokens)[:, 6:7], DynamicCache(config=model.config)
    cache.activate_past_recording()
    model(tokens[:, :8], past_key_values=cache)
    cache.crop(-2)
    assert 6 == cache.get_seq_length()
    assert apart(model(tokens[:, 6:7], past_key_values=cache).logits, expected) > WRONG

    mine = ours(model)
    cache = mine.new_cache(1, rollback=2)
    mine(tokens[:, :8], past_key_values=cache)
    cache.rollback(2)
    assert apart(mine(tokens[:, 6:7], past_key_values=cache).logits, expected) < RIGHT


@pytest.mark.parametrize(
    ("theirs_is", "given", "ours_is", "rows"),
    [
        ("batch_select_indices", torch.tensor([1]), "select", [1]),
        ("batch_repeat_interleave", 2, "repeat", [0, 0, 1, 1]),
    ],
)
def test_errata_08_rows_of_a_cache(theirs_is: str, given: Any, ours_is: str, rows: list[int]) -> None:
    """Rows cannot be chosen or repeated where a cache holds states."""
    model, tokens = theirs("zamba2"), ids(2)
    cache = model(tokens[:, :8], use_cache=True).past_key_values
    with pytest.raises(AttributeError, match=theirs_is):
        getattr(cache, theirs_is)(given)

    mine = ours(model)
    cache = mine(tokens[:, :8], use_cache=True).past_key_values
    getattr(cache, ours_is)(given)
    found = mine(tokens[rows, 8:9], past_key_values=cache).logits
    assert apart(found, alone(model, tokens)[rows, 8:9]) < RIGHT


@pytest.mark.parametrize("family", ["zamba2", "opt"])
def test_errata_09_packed_rows(family: str) -> None:
    """Positions that begin anew are no new text to these two, though they are to the other families."""
    model = theirs(family)
    first, second = ids()[:, :5], ids()[:, 5:]
    packed, places = torch.cat([first, second], 1), torch.tensor([[*range(5), *range(7)]])
    expected = alone(model, second)
    found = model(packed, position_ids=places, use_cache=False).logits[:, 5:]
    assert apart(found, expected) > WRONG

    segments = torch.tensor([[1] * 5 + [2] * 7])
    assert apart(ours(model)(packed, segment_ids=segments).logits[:, 5:], expected) < RIGHT
