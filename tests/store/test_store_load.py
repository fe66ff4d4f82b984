"""`composer.load` and `composer.save` on whole folders; transformers judges the published layout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM, MistralModel

import composer
from composer.errors import ComposerError

from .conftest import LAYERS, tensors, write_sharded, write_single

NAMES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def strictly(folder: Path) -> MistralForCausalLM:
    """The folder in transformers, every tensor there, used and of its shape."""
    model, info = MistralForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    return model


@pytest.mark.parametrize("stored", list(NAMES))
@pytest.mark.parametrize("named", [None, *NAMES])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_default_precision_is_that_of_transformers(
    stored: str, named: str | None, key: str, tmp_path: Path
) -> None:
    """As transformers: what config.json names, else what is stored, under the key of either era."""
    config = {"torch_dtype": ..., key: named or ...}
    folder = write_single(tmp_path / "model", tensors(dtype=NAMES[stored]), **config)

    assert strictly(folder).dtype == composer.load(folder).dtype


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", list(NAMES.values()))
def test_saved_folder_in_transformers(tied: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    """What we save loads strictly there, bit for bit, single and sharded, and computes the same."""
    config = MistralConfig(
        vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=6, sliding_window=3, tie_word_embeddings=tied,
    )  # fmt: skip
    there = MistralForCausalLM(config).to(dtype)
    there.save_pretrained(tmp_path / "theirs")
    ours = composer.load(tmp_path / "theirs")
    composer.save(ours, tmp_path / "ours", max_shard_size=700)
    again = strictly(tmp_path / "ours")

    assert all(torch.equal(value, again.state_dict()[name]) for name, value in there.state_dict().items())
    left, right = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("theirs", "ours"))
    assert {**left, "transformers_version": ...} == {**right, "transformers_version": ...}
    ids = torch.arange(9)[None]
    with torch.no_grad():
        assert torch.allclose(again(ids).logits.float(), ours(ids).logits.float(), atol=1e-3)


@pytest.mark.parametrize("layout", ["hf", "composer"])
def test_there_and_back(layout: Any, single: Path, tmp_path: Path) -> None:
    """Plan, tensors and precision survive either layout; only one of them has a config.json."""
    model = composer.load(single, dtype=torch.bfloat16)
    composer.save(model, tmp_path / "single", layout)
    again = composer.load(tmp_path / "single")

    assert model.plan == again.plan
    assert torch.bfloat16 == again.dtype
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert (layout == "hf") == (tmp_path / "single" / "config.json").exists()


def test_generation_defaults_travel(single: Path, tmp_path: Path) -> None:
    """generation_config.json is kept as it was; without one the spec's token ids make one."""
    model = composer.load(single)
    assert model.generation is None
    composer.save(model, tmp_path / "a")
    assert {"bos_token_id": 1, "eos_token_id": 2} == composer.load(tmp_path / "a").generation
    (single / "generation_config.json").write_text('{"eos_token_id": [2, 5], "temperature": 0.7}')
    composer.save(composer.load(single), tmp_path / "b", layout="composer")

    assert {"eos_token_id": [2, 5], "temperature": 0.7} == composer.load(tmp_path / "b").generation


def test_tokenizer_goes_along(single: Path, tmp_path: Path) -> None:
    """The tokenizer writes its files into the folder before it takes its place."""

    class Words:
        def save(self, folder: Any) -> None:
            assert folder != tmp_path / "a"
            (folder / "tokenizer.json").write_text("{}")

    composer.save(composer.load(single), tmp_path / "a", tokenizer=Words())

    assert "{}" == (tmp_path / "a" / "tokenizer.json").read_text()


def test_a_spec_of_the_users(sharded: Path) -> None:
    """spec= wins over what the folder says: a wider window here."""
    spec = composer.load(sharded).plan.spec
    wide = spec.model_copy(update={"final": {"swa": {"sliding_window": 9}}})
    model = composer.load(sharded, spec=wide)

    assert [9] * LAYERS == [
        layer.host.branches[0].mixers[0].block.sliding_window for layer in model.plan.layers
    ]


def test_composer_yaml_over_published_tensors(single: Path) -> None:
    """A spec beside published weights is read with the names of the family that it gives."""
    from composer.store.save import spec_text

    spec = composer.load(single).plan.spec
    (single / "config.json").unlink()
    with pytest.raises(ComposerError, match="neither composer.yaml nor config.json"):
        composer.load(single)
    (single / "composer.yaml").write_text(spec_text(spec))

    assert spec == composer.load(single).plan.spec


@pytest.mark.parametrize("form", ["whole", "bare"])
def test_without_a_head(form: str, tmp_path: Path) -> None:
    """A base model comes from a checkpoint with a head or one without, the same tensors either way."""
    found = tensors()
    if form == "bare":
        found = {name.removeprefix("model."): value for name, value in found.items() if "lm_head" not in name}
    model = composer.load(write_single(tmp_path / "model", found), head="base")

    assert model.head is None
    assert torch.equal(tensors()["model.norm.weight"], model.norm.weight)


def test_a_saved_model_without_its_head(single: Path, tmp_path: Path) -> None:
    """It loads as such here and there, and nothing is missed; a head that is asked for is a new one."""
    composer.save(composer.load(single, head="base"), tmp_path / "base")
    there, info = MistralModel.from_pretrained(tmp_path / "base", output_loading_info=True)

    assert not any(info.values())
    assert ["MistralModel"] == there.config.architectures
    assert torch.equal(there.norm.weight, composer.load(tmp_path / "base", head="base").norm.weight)
    assert None is composer.load(tmp_path / "base").head
    assert ("head.weight",) == composer.load(tmp_path / "base", head="causal-lm").loading.new


def test_parts_of_a_folder_that_are_not_there(tmp_path: Path) -> None:
    """Paths that hold no checkpoint are told apart."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    write_sharded(tmp_path / "old", tensors())
    for name in ("nowhere", "file", "empty"):
        with pytest.raises(ComposerError) as caught:
            composer.load(tmp_path / name)
        assert "E501" == caught.value.code


def test_a_folder_that_is_replaced_meanwhile(single: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is read comes from one version of the folder, the newer one here."""
    model = composer.load(single)
    real = composer.layout.importing.read_config
    changed = []

    def slow(text: bytes, name: str) -> dict[str, Any]:
        if not changed:
            changed.append(name)
            other = {name: value + 1 for name, value in model.state_dict().items()}
            model.load_state_dict(other)
            composer.save(model, single)
        return real(text, name)

    monkeypatch.setattr(sys.modules["composer.store.load"], "read_config", slow)
    again = composer.load(single)

    assert changed
    assert torch.equal(model.norm.weight, again.norm.weight)
    assert {"bos_token_id": 1, "eos_token_id": 2} == again.generation


def test_the_shipped_model_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shipped name loads model and tokenizer from anywhere; a folder of that name comes first."""
    monkeypatch.chdir(tmp_path)
    model, tokenizer = composer.load("pocket-mistral"), composer.load_tokenizer("pocket-mistral")
    (tmp_path / "pocket-mistral").mkdir()

    assert "pocket-mistral" == model.plan.name
    assert model.plan.sizes.vocab_size == tokenizer.vocab_size
    with pytest.raises(ComposerError, match="pocket-mistral holds none of"):
        composer.load("pocket-mistral")


@pytest.mark.parametrize("call", [composer.load, composer.load_tokenizer])
def test_a_shipped_spec_has_no_weights(call: Any) -> None:
    """The name of a spec is told from a folder that is not there."""
    with pytest.raises(ComposerError, match=r"is a spec, and a spec has no weights \[E906\]") as caught:
        call("mistral-7b-v0.1")

    assert "give a checkpoint folder" in str(caught.value)


def test_a_plan_is_loaded_as_it_is(sharded: Path) -> None:
    """What was resolved elsewhere, with its own head, is not resolved again."""
    plan = composer.resolve(composer.load(sharded).plan.spec, head="base")
    model = composer.load(sharded, spec=plan)

    assert plan is model.plan
    assert None is model.head
