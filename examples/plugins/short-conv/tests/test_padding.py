"""Where the reference's answer depends on what stands beside a text, and ours does not.

Each test shows both: what the reference returns for a row alone, and what it returns for the same row padded or packed.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, Lfm2Config
from transformers.models.lfm2.modeling_lfm2 import Lfm2ShortConv

import composer

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


def lone(bias: bool) -> Any:
    """A model that is our block and nothing else."""
    wide = {"distribution": "normal", "spread": 0.3}
    spec = composer.Spec(
        composer=1,
        name="lone",
        vocab_size=1,
        hidden_size=WIDTH,
        norm={"kind": "rms", "eps": 1e-5},
        final_norm=False,
        layer=[{"mix": "mixer", "residual": 0.0}],
        pattern="conv",
        layers=1,
        blocks={"conv": {"kind": "short-conv", "bias": bias}},
        init={"conv": wide, "linear": wide, "bias": wide},
    )
    return composer.build(composer.resolve(spec, head="base"), seed=0).eval()


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
def ours(model: Any, row: Tensor, mask: Tensor | None, then: Tensor) -> tuple[Tensor, Tensor]:
    """The same of ours."""
    cache = model.new_cache(1)
    out = model(inputs_embeds=row, past_key_values=cache, attention_mask=mask).last_hidden_state
    return out, model(inputs_embeds=then, past_key_values=cache).last_hidden_state


@pytest.mark.parametrize("place", [LEFT, RIGHT], ids=["left", "right"])
@pytest.mark.parametrize("bias", [False, True])
def test_padding_changes_nothing_here(bias: bool, place: slice) -> None:
    """A padded text, and the token that follows it, are what they are alone."""
    text, then, model = torch.randn(1, SHORT, WIDTH), torch.randn(1, 1, WIDTH), lone(bias)
    alone, next_alone = ours(model, text, None, then)
    row, mask = padded(text, place)
    out, next_out = ours(model, row, mask, then)
    assert apart(out[:, place], alone) < 1e-5
    assert apart(next_out, next_alone) < 1e-5


def test_left_padding_in_the_reference() -> None:
    """It zeroes the stream before the projection: exact without biases; with them the padding is B's times x's bias."""
    for bias, exact in ((False, True), (True, False)):
        text, then, module = torch.randn(1, SHORT, WIDTH), torch.randn(1, 1, WIDTH), reference(bias)
        alone, _ = theirs(module, text, None, then)
        out, _ = theirs(module, *padded(text, LEFT), then)
        assert exact == (apart(out[:, LEFT], alone) < 1e-5)


def test_right_padding_in_the_reference() -> None:
    """The text is right, but the state behind it is that of the padding, so the next token is wrong."""
    text, then, module = torch.randn(1, SHORT, WIDTH), torch.randn(1, 1, WIDTH), reference(False)
    alone, next_alone = theirs(module, text, None, then)
    out, next_out = theirs(module, *padded(text, RIGHT), then)
    assert apart(out[:, RIGHT], alone) < 1e-5
    assert apart(next_out, next_alone) > 0.05


def test_packing() -> None:
    """Two texts in one row: here each is what it is alone; in the reference the second begins with the first's end."""
    first, second = torch.randn(1, SHORT, WIDTH), torch.randn(1, SHORT, WIDTH)
    packed, numbers = torch.cat([first, second], 1), torch.arange(2).repeat_interleave(SHORT)[None]
    model, module = lone(False), reference(False)
    positions = torch.arange(SHORT).repeat(2)[None]
    with torch.no_grad():
        expected = model(inputs_embeds=second).last_hidden_state
        out = model(inputs_embeds=packed, segment_ids=numbers).last_hidden_state
        apart_there = apart(module(packed, position_ids=positions)[:, SHORT:], module(second))
    assert apart(out[:, SHORT:], expected) < 1e-5
    assert apart_there > 0.05
