"""Prompts longer than the stretches that attention works through at once, with windows of every size beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from .. import prove
from .configs import Case, case
from .oracle import Pair, relative

WINDOWS = [1, 7, 255, 256, 257, 400, 599, 600, None]
PROMPT = 600


def long(number: int, window: int | None) -> Case:
    """Case `number` with a long prompt and its rope unstretched."""
    usual = case(number, release=5)
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    changed = {"sliding_window": window, "rope_parameters": rope, "num_hidden_layers": 2}
    return replace(usual, prompt=PROMPT, config={**usual.config, **changed})


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("number", range(prove.cases(1, 12)))
def test_a_long_prompt_at_once_and_in_chunks(number: int, window: int | None, tmp_path: Path) -> None:
    """No cache; one chunk and a rest; chunks around the window; a last token on its own."""
    pair = Pair(long(number, window), tmp_path)
    with torch.no_grad():
        distances = [relative(pair.ours(pair.ids).logits, pair.expected)]
        for sizes in ([PROMPT], [300, 300], [(window or 64) % 512 + 1] * PROMPT, [PROMPT - 1, 1]):
            cache = pair.ours.new_cache(len(pair.ids), max_length=PROMPT)
            edges = torch.tensor([0, *sizes]).cumsum(0).clamp(max=PROMPT).unique().tolist()
            parts = [
                pair.ours(pair.ids[:, a:b], past_key_values=cache).logits
                for a, b in zip(edges[:-1], edges[1:], strict=True)
            ]
            distances.append(relative(torch.cat(parts, 1), pair.expected))

    prove.at_most("prompts of 600 tokens, over the tolerance", max(distances) / pair.tolerance, 1)
