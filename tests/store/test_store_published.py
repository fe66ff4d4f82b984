"""Checkpoints of every family: written by transformers, read by us, written by us, read by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForCausalLM

import composer
from composer.errors import WeightsError
from composer.layout.importing import import_config

from .. import prove
from ..published import FAMILIES, drawn, model
from .conftest import whole

NAMES = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(prove.cases(2, 60)))
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


SHARED = {
    **drawn("zamba2", 0), "num_hidden_layers": 6, "num_mem_blocks": 2,
    "layers_block_type": ["mamba", "hybrid", "hybrid", "mamba", "hybrid", "hybrid"],
}  # fmt: skip


def stored_with_aliases(folder: Path, change: float = 0.0, only: str = "") -> dict[str, torch.Tensor]:
    """A checkpoint that stores what is shared under every layer that uses it, or under the later ones only."""
    theirs = model(SHARED, 1)
    theirs.save_pretrained(folder)
    found = {name: tensor.clone() for name, tensor in theirs.state_dict().items() if name != "lm_head.weight"}
    if only:
        found = {name: tensor for name, tensor in found.items() if only not in name}
    found["model.layers.4.shared_transformer.self_attn.q_proj.weight"][0, 0] += change
    save_file(found, folder / "model.safetensors", {"format": "pt"})
    return found


@pytest.mark.parametrize("only", ["", "layers.1.shared_transformer"])
def test_copies_of_shared_tensors(only: str, tmp_path: Path) -> None:
    """They may be stored under every name or under any; saved, each stands under the first layer that uses it."""
    stored_with_aliases(tmp_path / "all", only=only)
    ours = composer.load(tmp_path / "all")
    composer.save(ours, tmp_path / "ours")
    first = model(SHARED, 1)
    first.save_pretrained(tmp_path / "theirs")
    expected, actual = whole(tmp_path / "theirs"), whole(tmp_path / "ours")

    assert set(expected) == set(actual)
    assert all(torch.equal(tensor, actual[name]) for name, tensor in expected.items())


def test_copies_that_disagree(tmp_path: Path) -> None:
    """Two names of one parameter with different numbers are an error that names both."""
    stored_with_aliases(tmp_path / "all", change=1.0)
    with pytest.raises(WeightsError, match="E515") as caught:
        composer.load(tmp_path / "all")

    name = "model.layers.{}.shared_transformer.self_attn.q_proj.weight"
    assert 1 == len(caught.value.problems)
    assert all(name.format(layer) in str(caught.value) for layer in (1, 4))


def test_shared_blocks_of_a_model_that_ties_no_head(tmp_path: Path) -> None:
    """transformers shares nothing where the head is not tied: it finds every copy, and they are equal."""
    plan = composer.resolve(import_config({**SHARED, "tie_word_embeddings": False}, "x"))
    ours = composer.build(plan, seed=0)
    composer.save(ours, tmp_path / "ours")
    auto: Any = AutoModelForCausalLM
    loaded, said = auto.from_pretrained(
        tmp_path / "ours", output_loading_info=True, attn_implementation="eager"
    )
    ids = torch.tensor([[3, 9, 27, 4, 8, 16, 5, 25]])
    with torch.no_grad():
        expected, actual = loaded(ids, use_cache=False).logits, ours(ids).logits
    again = composer.load(tmp_path / "ours").state_dict()

    assert all(not said[name] for name in NAMES)
    assert torch.allclose(expected, actual, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(tensor, again[name]) for name, tensor in ours.state_dict().items())


def test_many_copies_that_disagree(tmp_path: Path) -> None:
    """A long list of pairs is cut, and says so."""
    found = stored_with_aliases(tmp_path / "all")
    save_file(
        {n: t + ("layers.4" in n or "layers.5" in n) for n, t in found.items()},
        tmp_path / "all" / "model.safetensors",
    )
    with pytest.raises(WeightsError, match="more pairs of names hold different numbers") as caught:
        composer.load(tmp_path / "all")

    assert 20 >= len(caught.value.problems)
