"""Ropes whose angles depend on the length of the text, on both sides of the switch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import composer
from composer.errors import CacheError

from .. import prove
from .configs import Case, case
from .oracle import Pair, relative

TRAINED = 16
ROPES = {
    "dynamic": {"factor": 3.0},
    "longrope": {
        "short_factor": [1.0, 1.5, 2.0, 2.5],
        "long_factor": [3.0, 4.0, 5.0, 6.0],
        "original_max_position_embeddings": TRAINED,
    },
}


def stretched(kind: str, prompt: int) -> Case:
    """Case 1 (no window) with heads of eight channels and the rope in question."""
    whole = case(1, release=5)
    rope = {"rope_type": kind, "rope_theta": 10000.0, **ROPES[kind]}
    most = TRAINED if kind == "dynamic" else 4 * TRAINED
    changed = {
        "head_dim": 8,
        "sliding_window": None,
        "max_position_embeddings": most,
        "rope_parameters": rope,
    }
    return replace(whole, prompt=prompt, config={**whole.config, **changed})


@pytest.mark.parametrize("prompt", [TRAINED - 1, TRAINED, TRAINED + 1, 3 * TRAINED])
@pytest.mark.parametrize("kind", ROPES)
def test_the_length_of_the_text_decides_the_angles(kind: str, prompt: int, tmp_path: Path) -> None:
    """One call without a cache, as the reference."""
    pair = Pair(stretched(kind, prompt), tmp_path)

    with torch.no_grad():
        logits = pair.ours(pair.ids).logits

    prove.at_most(
        f"{kind} rope across lengths, over the tolerance", relative(logits, pair.expected) / pair.tolerance, 1
    )


@pytest.mark.parametrize("kind", ROPES)
def test_a_cache_declares_the_length_ahead(kind: str, tmp_path: Path) -> None:
    """With the final length declared chunks equal one call; without it growing past the switch is refused."""
    pair = Pair(stretched(kind, 2 * TRAINED), tmp_path)
    declared = pair.ours.new_cache(2, max_length=2 * TRAINED)
    with torch.no_grad():
        parts = [pair.ours(ids, past_key_values=declared).logits for ids in pair.ids.split(TRAINED, 1)]

        assert relative(torch.cat(parts, 1), pair.expected) <= pair.tolerance

        open_ended = pair.ours.new_cache(2)
        pair.ours(pair.ids[:, :TRAINED], past_key_values=open_ended)
        with pytest.raises(CacheError, match="changes its angles"):
            pair.ours(pair.ids[:, TRAINED:], past_key_values=open_ended)


@pytest.mark.parametrize("kind", ROPES)
def test_packed_rows_have_the_length_of_the_longest_sequence(kind: str, tmp_path: Path) -> None:
    """Three short sequences stay within the trained length although the row does not."""
    pair = Pair(stretched(kind, TRAINED), tmp_path)
    segments = torch.tensor([[0] * TRAINED + [1] * TRAINED])

    with torch.no_grad():
        packed = pair.ours(pair.ids.flatten()[None], segment_ids=segments).logits[0]

    assert relative(packed, pair.expected.flatten(0, 1)) <= pair.tolerance


def test_generation_declares_its_own_end(tmp_path: Path) -> None:
    """A prompt within the trained length that ends beyond it is long from the start."""
    pair = Pair(stretched("longrope", TRAINED - 4), tmp_path)

    out = pair.ours.generate(pair.ids, max_new_tokens=8, do_sample=False, eos_token_id=None)

    with torch.no_grad():
        logits = pair.ours(out).logits[:, TRAINED - 5 : -1]
    assert torch.equal(out[:, TRAINED - 4 :], logits.argmax(-1))
    assert composer.load(pair.folder).plan.sizes.max_position_embeddings == 4 * TRAINED
