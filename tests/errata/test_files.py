"""Errata of weights that are shared and files that are read; each test holds as long as the fault is there."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MistralConfig, MistralForCausalLM, Zamba2Config, Zamba2ForCausalLM

import composer
from composer import ComposerError, Spec
from composer.layout.family import families
from composer.layout.importing import import_config

from .beside import RIGHT, VOCAB, WRONG, alone, apart, drawn, ids, ours, settings, stepwise, theirs

SHARED = "model.layers.{}.shared_transformer.self_attn.q_proj.weight"


def rewritten(folder: Path, model: Any, change: Any) -> None:
    """The files of a model, with other tensors."""
    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_errata_23_nothing_is_shared() -> None:
    """Without a tied head no block is shared: every use has weights of its own."""
    tied, free = (theirs("zamba2", tie_word_embeddings=tied) for tied in (True, False))
    queries = [[model.get_parameter(SHARED.format(layer)) for layer in (1, 2)] for model in (tied, free)]
    assert [True, False] == [one is two for one, two in queries]

    with pytest.raises(ComposerError, match="stand for one parameter but hold different numbers"):
        ours(free)

    counted = sum(each.numel() for each in tied.parameters()) + VOCAB * 16
    assert counted == ours(shared(free)).plan.parameter_count
    assert apart(ours(free)(ids()).logits, alone(free, ids())) < RIGHT


def test_errata_23_blocks_of_their_own(tmp_path: Path) -> None:
    """A spec with a block for every use is that model; the adapters that nobody takes stand in the way."""
    free = theirs("zamba2", tie_word_embeddings=False)
    free.save_pretrained(tmp_path)
    data = import_config(free.config.to_dict(), "small").model_dump()
    data["blocks"]["shared-attn"]["share"] = {"copies": 2}
    spec = Spec.model_validate(data)
    with pytest.raises(ComposerError, match=r"adapter_list\.1\.0\.weight \[E512\]"):
        composer.load(tmp_path, spec=spec)

    save_file(taken(free.state_dict()), tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = composer.load(tmp_path, spec=spec, dtype=torch.float32)(ids()).logits
    assert apart(found, alone(free, ids())) < RIGHT


def taken(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors without the adapters of the other use."""
    unused = ("layers.1.*adapter_list.1.*", "layers.2.*adapter_list.0.*")
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not any(fnmatch(name, f"*{each}") for each in unused)
    }


def shared(model: Any) -> Any:
    """The model, both uses of its block with the numbers of the first."""
    first, second = (model.model.layers[layer].shared_transformer for layer in (1, 2))
    second.load_state_dict(first.state_dict())
    return model


def test_errata_23_random_blocks(tmp_path: Path) -> None:
    """A published file read with an untied head: the later uses of the block hold random numbers."""
    rewritten(
        tmp_path, theirs("zamba2"), lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"] + 1})
    )
    config = Zamba2Config.from_pretrained(tmp_path, tie_word_embeddings=False)
    read = Zamba2ForCausalLM.from_pretrained(tmp_path, config=config, attn_implementation="eager")
    first, second = (read.get_parameter(SHARED.format(layer)) for layer in (1, 2))
    assert second.std() < 0.03 < 0.2 < first.std()

    config.save_pretrained(tmp_path)
    found = composer.load(tmp_path, dtype=torch.float32)(ids()).logits
    assert apart(found, alone(shared(read), ids())) < RIGHT


@pytest.mark.parametrize(
    ("name", "alias"),
    [(SHARED.format(1), SHARED.format(2)), ("model.embed_tokens.weight", "lm_head.weight")],
)
def test_errata_24_two_numbers_for_one(tmp_path: Path, name: str, alias: str) -> None:
    """A shared tensor stored twice with different numbers is read as two, and the model is another one."""
    model = theirs("zamba2")
    rewritten(tmp_path, model, lambda tensors: tensors.update({alias: tensors[name] + 1}))
    read = Zamba2ForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    assert read.get_parameter(name) is not read.get_parameter(alias)
    assert apart(alone(read, ids()), alone(model, ids())) > WRONG

    with pytest.raises(ComposerError, match="E515"):
        composer.load(tmp_path)


def test_errata_25_tensors_that_are_missing(tmp_path: Path) -> None:
    """A file that lacks a tensor is read, with random numbers in its place."""
    name = "model.layers.1.self_attn.q_proj.weight"
    rewritten(tmp_path, theirs("mistral"), lambda tensors: tensors.pop(name))
    read = MistralForCausalLM.from_pretrained(tmp_path)
    assert 0 < read.get_parameter(name).std() < 0.03

    with pytest.raises(ComposerError, match=f"this tensor is missing: {name}"):
        composer.load(tmp_path)


def test_errata_26_width_of_a_head() -> None:
    """A configuration of Ministral without head_dim, as its own default is, cannot be built."""
    with pytest.raises(TypeError, match="NoneType"):
        theirs("ministral", head_dim=None)

    model = theirs("ministral", head_dim=4)
    model.config.head_dim = None
    assert apart(ours(model)(ids()).logits, alone(model, ids())) < RIGHT


def test_errata_27_no_window() -> None:
    """A Ministral whose layers all see everything cannot run without a window that nobody uses."""
    full = {"layer_types": ["full_attention"] * 2}
    with pytest.raises(ValueError, match="sliding_window"):
        theirs("ministral", sliding_window=None, **full)(ids())

    model = theirs("ministral", **full)
    expected = alone(model, ids())
    model.config.sliding_window = None
    assert apart(ours(model)(ids()).logits, expected) < RIGHT


def test_errata_28_layers_of_two_kinds() -> None:
    """Mistral's class keeps layer_types: its layers do not look at them, its cache does, and they part."""
    kinds = ["full_attention", "sliding_attention"]
    mixed, plain = (
        drawn(MistralForCausalLM(MistralConfig(**settings("mistral", sliding_window=3, **more))))
        for more in ({"layer_types": kinds}, {})
    )
    assert torch.equal(alone(mixed, ids()), alone(plain, ids()))
    with pytest.raises(RuntimeError, match="must match"):
        stepwise(mixed, ids(), 6)

    mine, right = ours(mixed), theirs("ministral", sliding_window=3, layer_types=kinds)
    assert apart(mine(ids()).logits, alone(right, ids())) < RIGHT
    assert apart(stepwise(mine, ids()), alone(right, ids())[:, 1:]) < RIGHT


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("use_conv_bias", False),
        ("time_step_limit", [0.5, 0.6]),
        ("use_mem_eff_path", True),
        ("kv_channels", 3),
    ],
)
def test_errata_29_keys_without_effect(option: str, value: Any) -> None:
    """Keys of Zamba2 that say something and change nothing; ours lists them as passed over."""
    changed, usual = theirs("zamba2", **{option: value}), theirs("zamba2")
    assert value == getattr(changed.config, option)
    assert torch.equal(alone(changed, ids()), alone(usual, ids()))

    assert option in families()["zamba2"].ignored
    assert apart(ours(changed)(ids()).logits, alone(usual, ids())) < RIGHT


def test_errata_30_long_context() -> None:
    """use_long_context reports rescaled angles and rescales nothing."""
    long, usual = (theirs("zamba2", use_mem_rope=True, use_long_context=on) for on in (True, False))
    assert 16384 == long.config.max_position_embeddings
    assert torch.equal(alone(long, ids(1, 20)), alone(usual, ids(1, 20)))

    assert apart(ours(long)(ids(1, 20)).logits, alone(usual, ids(1, 20))) < RIGHT


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("hybrid_layer_ids", [0], KeyError),
        ("mamba_headdim", 4, RuntimeError),
        ("attention_hidden_size", 40, RuntimeError),
    ],
)
def test_errata_31_stale_fields(key: str, value: Any, fault: type[Exception]) -> None:
    """A derived number of Zamba2 that stands in the file is believed against those it derives from."""
    model = theirs("zamba2")
    model.config.update({key: value})
    with pytest.raises(fault):
        theirs("zamba2", **{key: value})(ids(), use_cache=False)

    with pytest.raises(ComposerError, match="E535"):
        ours(model)


def test_errata_32_groups_and_adapters() -> None:
    """Adapters of grouped keys are as wide as the queries, and the first call fails on the shapes."""
    model = theirs("zamba2", num_attention_heads=4, num_key_value_heads=2, use_shared_attention_adapter=True)
    with pytest.raises(RuntimeError, match="must match"):
        model(ids())

    with pytest.raises(ComposerError, match="adapters of the attention need"):
        ours(model)
    model.config.use_shared_attention_adapter = False
    data = import_config(model.config.to_dict(), "small").model_dump()
    data["blocks"]["shared-attn"]["adapters"]["attn.qkv.k"] = {"rank": 2}
    name = "layers.1.shared-attn.adapters.attn.qkv.k.up.k.weight"
    assert (16, 2) == composer.resolve(Spec.model_validate(data)).parameters()[name].shape


def test_errata_33_keys_that_nobody_knows() -> None:
    """A misspelt key is kept, written back and never read."""
    model = theirs("mistral", sliding_windw=3)
    assert apart(alone(model, ids()), alone(theirs("mistral", sliding_window=3), ids())) > WRONG

    with pytest.raises(ComposerError, match="did you mean 'sliding_window'"):
        ours(model)
