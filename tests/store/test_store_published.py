"""Checkpoints of every family: written by transformers, read by us, written by us, read by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

import composer

from .. import prove
from ..published import FAMILIES, drawn, model
from .conftest import whole

NAMES = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(prove.cases(3, 60)))
def test_there_and_back(family: str, head: bool, seed: int, tmp_path: Path) -> None:
    """Bit for bit the same tensors under the same names, loaded strictly on both sides, with equal logits."""
    theirs = model(drawn(family, seed), seed, head)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = composer.load(tmp_path / "theirs", head="causal-lm" if head else "base")
    composer.save(ours, tmp_path / "ours")
    first, second = whole(tmp_path / "theirs"), whole(tmp_path / "ours")
    auto: Any = AutoModelForCausalLM if head else AutoModel
    loaded, said = auto.from_pretrained(tmp_path / "ours", output_loading_info=True)
    prefix = "" if head else f"{theirs.base_model_prefix}."

    assert {f"{prefix}{name}" for name in first} == set(second)
    assert all(torch.equal(tensor, second[f"{prefix}{name}"]) for name, tensor in first.items())
    assert all(not said[name] for name in NAMES)
    assert all(torch.equal(p, dict(theirs.named_parameters())[n]) for n, p in loaded.named_parameters())
    ids = torch.tensor([[3, 9, 27, 4, 8, 16, 5, 25]])
    with torch.no_grad():
        expected = theirs(ids, use_cache=False)[0]
        actual = ours(ids).logits if head else ours(ids).last_hidden_state
    assert torch.allclose(expected, actual, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
