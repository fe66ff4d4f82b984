"""Where transformers 5.23.0 disagrees with itself about this block: reproduced, with ours beside it.

Right is always what a text gives alone, in one call, without a cache and without pads.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from .beside import Case, Pair, apart, positions

CASE = Case(16, 16, 4, tokens=12, rows=1)


@pytest.fixture
def pair() -> Pair:
    """Both sides, theirs without a memory."""
    return Pair(CASE)


def begun(pair: Pair) -> Any:
    """Theirs with an empty memory."""
    theirs = copy.deepcopy(pair.theirs)
    theirs._setup_cache(1, torch.device("cpu"), torch.float32)
    return theirs


def alone(pair: Pair, x: Tensor) -> Tensor:
    """What a text gives by itself."""
    with torch.no_grad():
        return begun(pair)(x, positions(0, x.shape[1]), None)[0]


@torch.no_grad()
def test_pads_before_a_text_enter_it(pair: Pair) -> None:
    """The mask is not read.  Positions from it, as generation makes them, empty the memory, but not the convolution."""
    right, pads = alone(pair, pair.x), torch.randn(1, 4, 16)
    padded, mask = torch.cat([pads, pair.x], 1), (torch.arange(16) >= 4)[None]
    counted = (mask.cumsum(1) - 1).masked_fill(~mask, 1)
    for where in (positions(0, 16), counted):
        assert apart(begun(pair)(padded, where, mask)[0][:, 4:], right) > 0.01
    ours = pair.ours(padded, attention_mask=mask.long())
    assert apart(ours[:, 4:], right) < 1e-5


@torch.no_grad()
def test_pads_behind_a_text_are_remembered(pair: Pair) -> None:
    """They are tokens like any others."""
    right, theirs, ours = alone(pair, pair.x)[:, 8:], begun(pair), pair.ours.new_cache(1)
    padded, mask = torch.cat([pair.x[:, :8], torch.randn(1, 3, 16)], 1), (torch.arange(11) < 8)[None]
    theirs(padded, positions(0, 11), mask)
    found = [theirs(pair.x[:, t : t + 1], positions(t, 1), None)[0] for t in range(8, 12)]
    assert apart(torch.cat(found, 1), right) > 0.01
    pair.ours(padded, attention_mask=mask.long(), cache=ours)
    assert apart(pair.ours(pair.x[:, 8:], cache=ours), right) < 1e-5


@torch.no_grad()
def test_several_tokens_that_continue_begin_the_convolution_anew(pair: Pair) -> None:
    """Only single tokens continue it; so a long prompt cannot be read in parts."""
    right, theirs, ours = alone(pair, pair.x), begun(pair), pair.ours.new_cache(1)
    for start in (0, 6):
        part = pair.x[:, start : start + 6]
        found = theirs(part, positions(start, 6), None)[0]
        assert apart(pair.ours(part, cache=ours), right[:, start : start + 6]) < 1e-5
    assert apart(found[:, :3], right[:, 6:9]) > 0.01


@torch.no_grad()
def test_two_texts_cannot_take_turns(pair: Pair) -> None:
    """The module keeps the memory, not the cache: another text overwrites it."""
    right, theirs, other = alone(pair, pair.x)[:, 8:9], begun(pair), torch.randn(1, 8, 16)
    ours, beside = pair.ours.new_cache(1), pair.ours.new_cache(1)
    for text, cache in ((pair.x[:, :8], ours), (other, beside)):
        theirs(text, positions(0, 8), None)
        pair.ours(text, cache=cache)
    assert apart(theirs(pair.x[:, 8:9], positions(8, 1), None)[0], right) > 0.01
    assert apart(pair.ours(pair.x[:, 8:9], cache=ours), right) < 1e-5


@torch.no_grad()
def test_packed_texts_share_the_convolution(pair: Pair) -> None:
    """A position of 0 empties the memory within a row; the convolution looks across."""
    right = alone(pair, pair.x[:, 8:])
    packed = begun(pair)(pair.x, torch.cat([positions(0, 8), positions(0, 4)], 1), None)[0]
    assert apart(packed[:, 8:], right) > 0.01
    segments = (torch.arange(12) >= 8).long()[None]
    assert apart(pair.ours(pair.x, segment_ids=segments)[:, 8:], right) < 1e-5


@torch.no_grad()
def test_a_text_of_one_token_in_another_width() -> None:
    """Its memory has the width of the stream until a longer call makes it anew."""
    pair = Pair(Case(12, 24, 3, tokens=2, rows=1))
    with pytest.raises(RuntimeError, match=r"Sizes of tensors must match|must match the size"):
        begun(pair)(pair.x[:, :1], positions(0, 1), None)
    assert apart(pair.called([1, 1])[0], alone(pair, pair.x)) < 1e-5
