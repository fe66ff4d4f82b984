"""Where the reference's answer depends on what stands beside a text, and ours does not.

Each test shows both: what the reference returns for a row alone, and what it returns for the same row padded or packed.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, Lfm2Config
from transformers.models.lfm2.modeling_lfm2 import Lfm2ShortConv

from composer import Site
from composer.testing import Alone, alone
from short_conv.options import ShortConv

WIDTH, SHORT, LONG = 16, 6, 10
LEFT, RIGHT = slice(LONG - SHORT, LONG), slice(0, SHORT)


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a - b).abs().max() / b.abs().max())


def reference(bias: bool) -> Lfm2ShortConv:
    """The reference, with weights and biases that show."""
    config = Lfm2Config(hidden_size=WIDTH, conv_bias=bias, num_hidden_layers=1, layer_types=["conv"])
    module = Lfm2ShortConv(config, 0).eval()
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3)
    return module


def lone(bias: bool) -> Alone:
    """Our block, with weights that show."""
    return alone(ShortConv(bias=bias), Site(reads=WIDTH, writes=WIDTH))


def padded(text: Tensor, place: slice) -> tuple[Tensor, Tensor]:
    """A row of noise with the text in its place, and the mask that says where it is."""
    row, mask = torch.randn(1, LONG, WIDTH), torch.zeros(1, LONG, dtype=torch.int64)
    row[:, place], mask[:, place] = text, 1
    return row, mask


@torch.no_grad()
def theirs(module: Lfm2ShortConv, row: Tensor, mask: Tensor | None, then: Tensor) -> tuple[Tensor, Tensor]:
    """What the reference returns for a row, and for one more token behind it."""
    cache = DynamicCache(config=module.config)
    out = module(row, past_key_values=cache, attention_mask=mask)
    return out, module(then, past_key_values=cache)


@torch.no_grad()
def ours(model: Alone, row: Tensor, mask: Tensor | None, then: Tensor) -> tuple[Tensor, Tensor]:
    """The same of ours."""
    cache = model.new_cache(1)
    return model(row, cache, attention_mask=mask), model(then, cache)


@pytest.mark.parametrize("place", [LEFT, RIGHT], ids=["left", "right"])
@pytest.mark.parametrize("bias", [False, True])
def test_padding_changes_nothing_here(bias: bool, place: slice) -> None:
    """A padded text, and the token that follows it, are what they are alone."""
    text, then, model = torch.randn(1, SHORT, WIDTH), torch.randn(1, 1, WIDTH), lone(bias)
    right, next_right = ours(model, text, None, then)
    row, mask = padded(text, place)
    out, next_out = ours(model, row, mask, then)
    assert apart(out[:, place], right) < 1e-5
    assert apart(next_out, next_right) < 1e-5


def test_left_padding_in_the_reference() -> None:
    """It zeroes the stream before the projection: exact without biases; with them the padding is B's times x's bias."""
    for bias, exact in ((False, True), (True, False)):
        text, then, module = torch.randn(1, SHORT, WIDTH), torch.randn(1, 1, WIDTH), reference(bias)
        right, _ = theirs(module, text, None, then)
        out, _ = theirs(module, *padded(text, LEFT), then)
        assert exact == (apart(out[:, LEFT], right) < 1e-5)


def test_right_padding_in_the_reference() -> None:
    """The text is right, but the state behind it is that of the padding, so the next token is wrong."""
    text, then, module = torch.randn(1, SHORT, WIDTH), torch.randn(1, 1, WIDTH), reference(False)
    right, next_right = theirs(module, text, None, then)
    out, next_out = theirs(module, *padded(text, RIGHT), then)
    assert apart(out[:, RIGHT], right) < 1e-5
    assert apart(next_out, next_right) > 0.05


def test_packing() -> None:
    """Two texts in one row: here each is what it is alone; in the reference the second begins with the first's end."""
    first, second = torch.randn(1, SHORT, WIDTH), torch.randn(1, SHORT, WIDTH)
    packed, numbers = torch.cat([first, second], 1), torch.arange(2).repeat_interleave(SHORT)[None]
    model, module = lone(False), reference(False)
    positions = torch.arange(SHORT).repeat(2)[None]
    with torch.no_grad():
        expected = model(second)
        out = model(packed, segment_ids=numbers)
        apart_there = apart(module(packed, position_ids=positions)[:, SHORT:], module(second))
    assert apart(out[:, SHORT:], expected) < 1e-5
    assert apart_there > 0.05
