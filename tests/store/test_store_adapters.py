"""Adapters over a checkpoint that has none: new where the base is published, read where they were saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import composer
from composer.errors import WeightsError

BASE: dict[str, Any] = {
    "composer": 1,
    "name": "base",
    "vocab_size": 20,
    "hidden_size": 8,
    "norm": {"kind": "rms", "eps": 1e-5},
    "layer": [{"norm": "rms", "mix": "mixer"}, {"norm": "rms", "mix": "mlp"}],
    "pattern": "full×2",
    "max_position_embeddings": 32,
    "blocks": {
        "full": {"kind": "attention", "num_attention_heads": 2, "rope": {"theta": 1e4}},
        "mlp": {"kind": "mlp", "intermediate_size": 12, "hidden_act": "silu", "gated": True},
    },
    "weights": "mistral",
}
LOW = {name: {"rank": 2, "frozen": True} for name in ("qkv", "out")}
IDS = torch.arange(6)[None]


def plan(low: dict[str, Any] | None = None) -> composer.Plan:
    """The base, or adapters on its attention."""
    full = {**BASE["blocks"]["full"], **({"adapters": low} if low else {})}
    spec = {**BASE, "blocks": {**BASE["blocks"], "full": full}}
    return composer.resolve(composer.Spec.model_validate(spec))


@torch.no_grad()
@pytest.mark.parametrize("layout", ["hf", "composer"])
def test_adapters_begin_on_a_base(layout: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are drawn, which is said, and change nothing yet; what they add to is frozen."""
    base = composer.build(plan(), seed=0)
    composer.save(base, tmp_path, layout=layout)
    model = composer.load(tmp_path, spec=plan(LOW))
    assert model.loading is not None
    adapters = [name for name in model.plan.parameters() if ".adapters." in name]

    assert adapters == list(model.loading.new)
    assert (
        "has none of these adapters: new and drawn: layers.{0..1}.adapters.mixer.qkv.down.weight"
        in caplog.text
    )
    assert torch.allclose(base(IDS).logits, model(IDS).logits, atol=1e-6)
    assert model.plan.frozen == {n for n, p in model.named_parameters() if not p.requires_grad}


@torch.no_grad()
def test_saved_adapters_are_read(tmp_path: Path) -> None:
    """In our own layout they have names; one of several that is missing is an error, not a draw."""
    model = composer.build(plan({"qkv": LOW["qkv"]}), seed=0)
    composer.save(model, tmp_path, layout="composer")
    again = composer.load(tmp_path)

    assert again.loading is not None
    assert () == again.loading.new
    assert all(map(torch.equal, model.parameters(), again.parameters()))
    with pytest.raises(WeightsError, match="this tensor is missing") as caught:
        composer.load(tmp_path, spec=plan(LOW))
    assert {"E511"} == {problem.code for problem in caught.value.problems}


def test_a_published_layout_has_no_names_for_them(tmp_path: Path) -> None:
    """The error says in which layout they can be saved."""
    with pytest.raises(WeightsError, match="cannot say this") as caught:
        composer.save(composer.build(plan(LOW), seed=0), tmp_path, layout="hf")

    assert "save with layout='composer', which can say everything" == caught.value.problems[-1].hint
