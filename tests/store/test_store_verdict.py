"""Many numbers are checked while the caller goes on; a model with a broken one never answers."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import composer
from composer.errors import WeightsError

SPEC = """
composer: 1
name: small
vocab_size: 31
hidden_size: 16
norm: {kind: rms, eps: 1.0e-5}
pattern: full
blocks: {full: {kind: attention, num_attention_heads: 2}}
"""
IDS = torch.tensor([[1, 2, 3]])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved model, every checkpoint counted as a large one."""
    import sys

    monkeypatch.setattr(sys.modules["composer.store.materialize"], "AT_ONCE_BYTES", 0)
    model = composer.build(composer.resolve(composer.read_spec(SPEC)), seed=0)
    composer.save(model, tmp_path / "model", layout="composer")
    return tmp_path / "model"


def spoil(folder: Path) -> None:
    """One infinity in the output matrix."""
    tensors = load_file(folder / "model.safetensors")
    tensors["head.weight"][3, 3] = float("inf")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@torch.no_grad()
def test_a_sound_model_answers_and_copies(folder: Path) -> None:
    """The wait leaves no trace in logits, copies, pickles or saved folders."""
    model = composer.load(folder)
    twin = copy.deepcopy(composer.load(folder))
    third = pickle.loads(pickle.dumps(composer.load(folder)))
    expected = model(IDS).logits

    assert torch.equal(twin(IDS).logits, expected)
    assert torch.equal(third(IDS).logits, expected)
    composer.save(composer.load(folder), folder.parent / "again", layout="composer")
    assert torch.equal(composer.load(folder.parent / "again")(IDS).logits, expected)


@pytest.mark.parametrize(
    "use",
    [
        lambda model, folder: model(IDS),
        lambda model, folder: model.generate(IDS, max_new_tokens=1),
        lambda model, folder: model.state_dict(),
        lambda model, folder: copy.deepcopy(model),
        lambda model, folder: composer.save(model, folder.parent / "again", layout="composer"),
    ],
    ids=["forward", "generate", "state_dict", "copy", "save"],
)
def test_a_broken_model_refuses_every_use(folder: Path, use: Any) -> None:
    """At the first use and at the next, by the name of the tensor; nothing is written."""
    spoil(folder)
    model = composer.load(folder)

    for _ in range(2):
        with pytest.raises(WeightsError, match=r"not finite \(NaN, infinity\): head.weight") as caught:
            use(model, folder)
        assert caught.value.code == "E516"
    assert not (folder.parent / "again").exists()


def test_few_numbers_are_checked_before_load_returns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small checkpoint with an infinity is never handed out."""
    monkeypatch.undo()
    spoil(folder)

    with pytest.raises(WeightsError, match="head.weight"):
        composer.load(folder)
