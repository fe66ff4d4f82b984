"""Random options over random prompts: ids equal to transformers', draw for draw."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from composer.generate import generate

from .. import prove

CHOICES: dict[str, list[Any]] = {
    "max_new_tokens": [1, 2, 9, 20],
    "max_length": [30],
    "min_new_tokens": [0, 3, 30],
    "min_length": [5, 14],
    "eos_token_id": [7, [3, 9, 22, 41], list(range(0, 61, 3))],
    "pad_token_id": [0, 60],
    "repetition_penalty": [0.8, 1.1, 2.5],
    "temperature": [0.3, 1.9],
    "top_k": [0, 1, 5, 500],
    "top_p": [0.2, 0.95],
    "min_p": [0.02, 0.5],
}


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """A left-padded prompt with its mask, and some options."""
    chance = random.Random(seed)
    options = {name: chance.choice(values) for name, values in CHOICES.items() if chance.random() < 0.4}
    if "max_new_tokens" not in options:
        options["max_length"] = 30
    options["do_sample"] = chance.random() < 0.6
    if not options["do_sample"]:
        options = {k: v for k, v in options.items() if k not in ("temperature", "top_k", "top_p", "min_p")}
    rows, length = chance.randint(1, 5), chance.randint(1, 12)
    generator = torch.Generator().manual_seed(seed)
    padding = torch.randint(0, length, (rows, 1), generator=generator) * (chance.random() < 0.5)
    ids = torch.randint(0, 61, (rows, length), generator=generator)
    return ids, (torch.arange(length) >= padding).long(), options


@pytest.mark.filterwarnings("ignore:Unfeasible length constraints:UserWarning")
@pytest.mark.parametrize("seed", range(prove.cases(25, 400)))
def test_any_options_as_transformers(oracle: Callable[..., Any], twin: Callable[..., Any], seed: int) -> None:
    """Given by the call or brought by the checkpoint, cached or not."""
    theirs = oracle(seed=seed % 5, sliding_window=[None, 4, 16][seed % 3])
    ours = twin(theirs)
    ids, mask, options = drawn(seed)
    torch.manual_seed(seed)
    expected = theirs.generate(ids, attention_mask=mask, **options)
    given = options if seed % 2 else {}
    ours.generation = {} if seed % 2 else options

    assert torch.equal(expected, generate(ours, ids, mask, use_cache=seed % 4 < 2, seed=seed, **given))
    prove.counted("generation with random options, tokens of transformers")
