"""The block in a whole model: the spec of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import composer
import composer_attention
import composer_mlp
import rg_lru

SPEC = Path(rg_lru.__file__).parent / "specs" / "lru-hybrid.yaml"
BLOCKS = composer.catalog(rg_lru, composer_attention, composer_mlp)
IDS = torch.randint(512, (2, 90), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> Any:
    """Drawn widely enough that tokens matter."""
    spec = composer.read_spec(SPEC, set=["init.linear={distribution: normal, spread: 0.2}"])
    return composer.build(composer.resolve(spec, BLOCKS), seed=0).eval()


def test_the_cache_changes_nothing(model: Any) -> None:
    """Tokens that continue a cache get the scores that one call gives them."""
    cache = model.new_cache(2)
    with torch.no_grad():
        whole = model(IDS).logits
        parts = [model(part, past_key_values=cache).logits for part in IDS.split([1, 70, 1, 1, 17], 1)]

    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=2e-5 * float(whole.abs().max()))


def test_it_generates_as_without_a_cache(model: Any) -> None:
    """The most likely token, again and again; padded on either side too."""
    with torch.no_grad():
        ids = IDS[:, :70]
        for _ in range(12):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
    mask = torch.cat([torch.zeros(2, 3), torch.ones(2, 70)], 1).long()
    padded = torch.cat([IDS[:, -3:], IDS[:, :70]], 1)

    assert torch.equal(ids, model.generate(IDS[:, :70], max_new_tokens=12))
    generated = model.generate(padded, attention_mask=mask, max_new_tokens=12)
    assert torch.equal(ids[:, 70:], generated[:, 73:])


def test_it_goes_back(model: Any) -> None:
    """Tokens that are taken back leave no trace, in memories as in windows."""
    cache = model.new_cache(2, rollback=4)
    with torch.no_grad():
        model(IDS[:, :30], past_key_values=cache)
        cache.rollback(4)
        again = model(IDS[:, 26:40], past_key_values=cache).logits
        expected = model(IDS[:, :40]).logits[:, 26:]

    torch.testing.assert_close(again, expected, rtol=0, atol=2e-5 * float(expected.abs().max()))


def test_it_learns() -> None:
    """A few steps on one batch bring the loss down: gradients go the right way."""
    model = composer.build(composer.resolve(composer.read_spec(SPEC), BLOCKS), seed=0).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(10):
        loss = model(IDS, labels=IDS).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert losses[-1] < 0.8 * losses[0]


def test_it_survives_saving(model: Any, tmp_path: Path) -> None:
    """A saved model has the same scores when it is loaded."""
    composer.save(model, tmp_path / "checkpoint", layout="composer")
    loaded = composer.load(tmp_path / "checkpoint", spec=model.plan).eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(IDS).logits, model(IDS).logits)


def test_blocks_of_the_gates_must_fit() -> None:
    """A width that they do not divide is refused with a sentence."""
    spec = composer.read_spec(SPEC, set=["blocks.lru.num_heads=5"])
    with pytest.raises(composer.ComposerError, match=r"width \(64\) must be a multiple of num_heads \(5\)"):
        composer.resolve(spec, BLOCKS)


def test_installed_it_is_found_by_name() -> None:
    """The kind in any spec, and the spec of this package by its name."""
    if "rg-lru" not in composer.catalog():
        pytest.skip("this package is not installed")
    plan = composer.resolve(composer.read_spec("lru-hybrid"))
    assert composer.resolve(composer.read_spec(SPEC), BLOCKS).parameters() == plan.parameters()
