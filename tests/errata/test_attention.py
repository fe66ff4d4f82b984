"""Errata of attention, windows, positions and masks; each test holds as long as transformers has the fault."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForSequenceClassification

from composer import ComposerError

from .beside import (
    RIGHT,
    VOCAB,
    WRONG,
    alone,
    apart,
    drawn,
    ids,
    left,
    ours,
    right,
    settings,
    stepwise,
    theirs,
)

DYNAMIC = {
    "rope_parameters": {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0},
    "max_position_embeddings": 6,
}
LONG = {
    "rope_parameters": {
        "rope_type": "longrope", "rope_theta": 100.0, "short_factor": [1.0] * 4, "long_factor": [3.0] * 4,
        "factor": 4.0, "original_max_position_embeddings": 6,
    },
    "max_position_embeddings": 24,
}  # fmt: skip


@pytest.mark.parametrize("family", ["mistral", "ministral"])
def test_errata_10_window_of_one(family: str) -> None:
    """A window of one token forgets nothing: the newest zero keys of a list are all of them."""
    model, tokens = theirs(family, sliding_window=1), ids()
    expected = alone(model, tokens)[:, 1:]
    assert apart(stepwise(model, tokens), expected) > WRONG

    assert apart(stepwise(ours(model), tokens), expected) < RIGHT


def test_errata_11_window_over_pads() -> None:
    """Pads between a row's tokens fill its window, in a cache and without one, positions given or not."""
    model, tokens = theirs("mistral", sliding_window=3), ids()
    expected = alone(model, tokens)[:, 5:6]
    padded, mask = right(tokens[:, :5], 3)
    longer, place = torch.cat([mask, mask[:, :1]], 1), torch.tensor([[5]])
    cache = model(padded, attention_mask=mask, use_cache=True).past_key_values
    given = {"attention_mask": longer, "position_ids": place, "past_key_values": cache}
    assert apart(model(tokens[:, 5:6], **given).logits, expected) > WRONG

    mine = ours(model)
    cache = mine(padded, attention_mask=mask, use_cache=True).past_key_values
    assert apart(mine(tokens[:, 5:6], past_key_values=cache).logits, expected) < RIGHT


def test_errata_12_window_of_none() -> None:
    """A window of no tokens is taken, and every kernel makes something else of it."""
    kernels = [theirs("mistral", attention=name, sliding_window=0) for name in ("eager", "sdpa")]
    eager, sdpa = (alone(model, ids()) for model in kernels)
    assert apart(sdpa, eager) > WRONG

    with pytest.raises(ComposerError, match="must be at least 1, found 0"):
        ours(kernels[0])


@pytest.mark.parametrize("rope", [DYNAMIC, LONG], ids=["dynamic", "longrope"])
def test_errata_13_angles_that_change(rope: dict[str, Any]) -> None:
    """A text that outgrows its angles gets others, and what is in the cache keeps the old ones."""
    model, tokens = theirs("mistral", **rope), ids()
    expected = alone(model, tokens)
    assert apart(stepwise(model, tokens), expected[:, 1:]) > WRONG

    mine = ours(model)
    assert apart(alone(mine, tokens), expected) < RIGHT
    cache = mine.new_cache(1, max_length=12)
    found = [mine(token, past_key_values=cache).logits for token in tokens.split(1, 1)]
    assert apart(torch.cat(found, 1), expected) < RIGHT
    with pytest.raises(ComposerError, match="E803"):
        stepwise(mine, tokens)


def test_errata_14_packing_by_positions() -> None:
    """Whether positions that begin anew are a new text hangs on use_cache, which is on by default."""
    model, tokens = theirs("mistral"), ids()
    places, expected = torch.tensor([[*range(5), *range(7)]]), alone(model, tokens[:, 5:])
    packed = model(tokens, position_ids=places, use_cache=False).logits
    mixed = model(tokens, position_ids=places).logits
    assert apart(packed[:, 5:], expected) < RIGHT
    assert apart(mixed[:, 5:], expected) > WRONG

    mine, segments = ours(model), torch.tensor([[1] * 5 + [2] * 7])
    assert apart(mine(tokens, segment_ids=segments).logits[:, 5:], expected) < RIGHT
    for use_cache in (False, True):
        assert apart(mine(tokens, position_ids=places, use_cache=use_cache).logits, mixed) < RIGHT


@pytest.mark.parametrize("covered", [1, 4])
def test_errata_15_masks_that_are_short(covered: int) -> None:
    """A mask that does not reach the new token hides it, and tells nobody."""
    model, tokens = theirs("mistral"), ids(2)
    expected, mask = alone(model, tokens)[:, 6:7], torch.ones(2, covered, dtype=torch.int64)
    cache = model(tokens[:, :6], use_cache=True).past_key_values
    found = model(tokens[:, 6:7], attention_mask=mask, past_key_values=cache).logits
    assert apart(found, expected) > WRONG

    mine = ours(model)
    cache = mine(tokens[:, :6], use_cache=True).past_key_values
    if covered == 1:  # as long as the new tokens: it speaks of them
        found = mine(tokens[:, 6:7], attention_mask=mask, past_key_values=cache).logits
        assert apart(found, expected) < RIGHT
    else:
        with pytest.raises(ComposerError, match="covers 4 columns"):
            mine(tokens[:, 6:7], attention_mask=mask, past_key_values=cache)


def test_errata_16_what_pads_return() -> None:
    """The logits of a pad are whatever the kernel makes of a row that sees nothing."""
    padded, mask = left(ids(), 3)
    kernels = [theirs("mistral", attention=name) for name in ("eager", "sdpa")]
    eager, sdpa = (model(padded, attention_mask=mask, use_cache=False).logits for model in kernels)
    assert apart(sdpa[:, 3:], eager[:, 3:]) < RIGHT
    assert apart(sdpa[:, :3], eager[:, :3]) > WRONG

    found, mine = [], ours(kernels[0])
    for mine.attention in ("sdpa", "reference"):
        found.append(mine(padded, attention_mask=mask).logits)
    assert apart(found[0][:, 3:], eager[:, 3:]) < RIGHT
    assert 0 == found[0][:, :3].abs().max() == found[1][:, :3].abs().max()


def test_errata_17_weights_of_attention() -> None:
    """Asked for attention weights, the usual kernel returns none."""
    model = theirs("mistral", attention="sdpa")
    assert () == model(ids(), output_attentions=True, use_cache=False).attentions

    expected = theirs("mistral")(ids(), output_attentions=True, use_cache=False).attentions
    found = ours(model)(ids(), output_attentions=True).attentions
    assert [True, True] == [apart(one, two) < RIGHT for one, two in zip(found, expected, strict=True)]


def test_errata_18_masks_and_windows() -> None:
    """A mask of four dimensions stands for the window too: one that says no more than "causal" undoes it."""
    model, tokens = theirs("mistral", sliding_window=3), ids()
    causal = torch.ones(1, 1, 12, 12).tril() == 1
    found = model(tokens, attention_mask=causal, use_cache=False).logits
    assert apart(found, alone(model, tokens)) > WRONG

    with pytest.raises(ComposerError, match="E708"):
        ours(model)(tokens, attention_mask=causal)


def test_errata_19_prompts_with_pads_behind() -> None:
    """Generation goes on from the last column, a pad, where a prompt is shorter than its neighbours."""
    model, tokens = theirs("mistral", eos_token_id=None), ids()[:, :5]
    padded, mask = right(tokens, 3)
    options = {"max_new_tokens": 6, "do_sample": False}
    expected = model.generate(tokens, attention_mask=torch.ones_like(tokens), **options)[:, 5:]
    assert not torch.equal(expected, model.generate(padded, attention_mask=mask, **options)[:, 8:])

    assert torch.equal(expected, ours(model).generate(padded, attention_mask=mask, **options)[:, 8:])


def test_errata_20_angles_in_half_precision() -> None:
    """`to(bfloat16)` rounds the angles of rotary positions; loading in bfloat16 does not."""
    model = theirs("mistral")
    exact = model.model.rotary_emb.inv_freq.clone()
    model.to(torch.bfloat16)
    assert not torch.equal(exact, model.model.rotary_emb.inv_freq.float())

    mine, tokens = ours(theirs("mistral")), ids(1, 60)
    loaded, turned = ours(theirs("mistral"), dtype=torch.bfloat16), mine.to(torch.bfloat16)
    assert torch.equal(loaded(tokens).logits, turned(tokens).logits)


def test_errata_21_positions_behind_pads() -> None:
    """GPT-2 counts pads on the left as positions unless it is told not to; OPT reads them off the mask."""
    padded, mask = left(ids(), 3)
    model = theirs("gpt2")
    expected = alone(model, ids())
    assert apart(model(padded, attention_mask=mask, use_cache=False).logits[:, 3:], expected) > WRONG
    assert apart(ours(model)(padded, attention_mask=mask).logits[:, 3:], expected) < RIGHT

    other = theirs("opt")
    assert (
        apart(other(padded, attention_mask=mask, use_cache=False).logits[:, 3:], alone(other, ids())) < RIGHT
    )


def test_errata_22_hidden_states() -> None:
    """Mamba2 leaves out the embedded tokens and returns what the last layer writes twice, normed and not."""
    model, tokens = theirs("mamba2"), ids()
    embedded = model.get_input_embeddings()(tokens)
    found = model(tokens, output_hidden_states=True, use_cache=False).hidden_states
    assert 3 == len(found)
    assert apart(found[0], embedded) > WRONG

    mine = ours(model)(tokens, output_hidden_states=True).hidden_states
    assert torch.equal(mine[0], embedded)
    assert apart(mine[1], found[0]) < RIGHT
    assert apart(mine[2], found[2]) < RIGHT


def test_errata_16_labels_behind_pads() -> None:
    """So the loss of a first token that a pad predicts hangs on the kernel; ours counts it as a blind guess."""
    padded, mask = left(ids(), 3)
    labels = torch.where(mask == 1, padded, -100)
    given = {"attention_mask": mask, "labels": labels}
    kernels = [theirs("mistral", attention=name) for name in ("eager", "sdpa")]
    eager, sdpa = (model(padded, use_cache=False, **given).loss for model in kernels)
    assert apart(sdpa, eager) > WRONG

    mine = ours(kernels[0])
    rest = mine(ids(), labels=ids()).loss * 11
    assert apart(mine(padded, **given).loss, (rest + math.log(VOCAB)) / 12) < RIGHT


def test_errata_34_classes_of_pads() -> None:
    """A row that is classified by its padding token alone may be read where the mask says padding."""
    model = drawn(MistralForSequenceClassification(MistralConfig(**settings("mistral", num_labels=3))))
    mask = torch.ones_like(ids())
    mask[0, -2:] = 0
    scores = model.score(model.model(ids(), attention_mask=mask).last_hidden_state)
    assert apart(model(ids(), attention_mask=mask).logits, scores[:, -1]) < RIGHT

    with pytest.raises(ComposerError, match="E722"):
        ours(model, head="sequence-classification")(ids(), attention_mask=mask)
