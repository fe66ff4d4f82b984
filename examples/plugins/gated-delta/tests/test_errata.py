"""Where transformers 5.23.0 disagrees with itself about this block: reproduced, with ours beside it.

Right is always what a text gives alone, in one call, without a cache and without pads.
"""

from __future__ import annotations

import torch

from .beside import Case, Pair, apart, reference

CASE = Case(16, 2, 4, 8, 8, tokens=12, rows=1)


def test_pads_behind_a_text_are_remembered() -> None:
    """Inputs are zeroed at pads, but the convolution goes on and the memory fades and is written to."""
    pair = Pair(CASE)
    text, more = pair.x[:, :8], pair.x[:, 8:]
    padded, mask = torch.cat([text, more[:, :3]], 1), (torch.arange(11) < 8)[None]
    theirs, ours = reference.DynamicCache(config=CASE.config()), pair.ours.new_cache(1)
    with torch.no_grad():
        right = pair.theirs(pair.x)
        first = pair.theirs(padded, cache_params=theirs, attention_mask=mask)[:, :8]
        assert apart(first, right[:, :8]) < 1e-5  # the text itself is right
        assert apart(pair.theirs(more, cache_params=theirs), right[:, 8:]) > 0.1
        pair.ours(padded, attention_mask=mask.long(), cache=ours)
        assert apart(pair.ours(more, cache=ours), right[:, 8:]) < 1e-5


def test_a_row_that_waits_is_moved_on() -> None:
    """A single pad, as a row gets while its neighbours go on, fades the memory and is written to it."""
    pair = Pair(CASE)
    text, more = pair.x[:, :8], pair.x[:, 8:]
    pad, mask = torch.zeros_like(more[:, :1]), torch.zeros(1, 1)
    theirs, ours = reference.DynamicCache(config=CASE.config()), pair.ours.new_cache(1)
    with torch.no_grad():
        right = pair.theirs(pair.x)[:, 8:]
        pair.theirs(text, cache_params=theirs)
        pair.theirs(pad, cache_params=theirs, attention_mask=mask)
        assert apart(pair.theirs(more, cache_params=theirs), right) > 0.1
        pair.ours(text, cache=ours)
        pair.ours(pad, cache=ours, attention_mask=mask.long())
        assert apart(pair.ours(more, cache=ours), right) < 1e-5


def test_packed_texts_read_each_other() -> None:
    """Positions that begin anew, which keep texts apart in attention, keep nothing apart here, and nothing says so."""
    config = CASE.config()
    config.update({"vocab_size": 20, "num_experts": 0, "mlp_only_layers": [0]})
    model = reference.Qwen3NextForCausalLM(config).eval()
    pair, segments = Pair(CASE), (torch.arange(12) >= 8).long()[None]
    model.model.layers[0].linear_attn.load_state_dict(pair.theirs.state_dict())
    ids, positions = torch.randint(20, (1, 12)), torch.cat([torch.arange(8), torch.arange(4)])[None]
    with torch.no_grad():
        packed = model(ids, position_ids=positions, use_cache=False).logits[:, 8:]
        assert apart(packed, model(ids[:, 8:], use_cache=False).logits) > 1e-3
        right = pair.theirs(pair.x[:, 8:])
        assert apart(pair.ours(pair.x, segment_ids=segments)[:, 8:], right) < 1e-5
