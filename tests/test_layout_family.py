"""Family files: what a published configuration means, held against transformers, and the way back."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import pytest
from transformers import MistralConfig

import composer
from composer.layout.exporting import export_config
from composer.layout.family import Family, families, family_named
from composer.layout.importing import import_config
from composer.layout.view import view
from composer.shipped import shipped_specs
from composer.source import read_document

from . import prove

TINY: dict[str, Any] = {
    "model_type": "mistral", "vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
}  # fmt: skip

# What a file of transformers 4.34 holds beside the architecture when nothing is left out.
FIRST_ERA: dict[str, Any] = {
    "_name_or_path": "/somewhere", "add_cross_attention": False, "architectures": ["MistralForCausalLM"],
    "bad_words_ids": None, "begin_suppress_tokens": None, "bos_token_id": 1, "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": None, "decoder_start_token_id": None, "diversity_penalty": 0.0,
    "do_sample": False, "early_stopping": False, "encoder_no_repeat_ngram_size": 0, "eos_token_id": 2,
    "exponential_decay_length_penalty": None, "finetuning_task": None, "forced_bos_token_id": None,
    "forced_eos_token_id": None, "hidden_act": "silu", "id2label": {"0": "LABEL_0"}, "initializer_range": 0.02,
    "is_decoder": False, "is_encoder_decoder": False, "label2id": {"LABEL_0": 0}, "length_penalty": 1.0,
    "max_length": 20, "min_length": 0, "no_repeat_ngram_size": 0, "num_beam_groups": 1, "num_beams": 1,
    "num_return_sequences": 1, "output_attentions": False, "output_hidden_states": False, "output_scores": False,
    "pad_token_id": None, "prefix": None, "problem_type": None, "pruned_heads": {}, "remove_invalid_values": False,
    "repetition_penalty": 1.0, "return_dict": True, "return_dict_in_generate": False, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "sep_token_id": None, "sliding_window": 4096, "suppress_tokens": None,
    "task_specific_params": None, "temperature": 1.0, "tf_legacy_loss": False, "tie_encoder_decoder": False,
    "tie_word_embeddings": False, "tokenizer_class": None, "top_k": 50, "top_p": 1.0, "torch_dtype": "bfloat16",
    "torchscript": False, "transformers_version": "4.34.0.dev0", "typical_p": 1.0, "use_bfloat16": False,
    "use_cache": True,
}  # fmt: skip


def facts(config: dict[str, Any]) -> dict[str, Any]:
    """Everything that the plan of a configuration decides."""
    return view(composer.resolve(import_config(config, "x")))


def normalised(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as transformers understands and writes it today.

    Its class fills in key heads that are null, but now refuses them before it comes to that.
    """
    kept = {key: value for key, value in config.items() if key != "model_type"}
    if kept.get("num_key_value_heads", ...) is None:
        kept["num_key_value_heads"] = kept["num_attention_heads"]
    found: dict[str, Any] = json.loads(MistralConfig(**kept).to_json_string(use_diff=False))
    return found


def test_defaults_are_those_of_transformers() -> None:
    """An absent key means what the class says; each of its own fields is among the defaults."""
    base = {field.name for field in dataclasses.fields(MistralConfig.__mro__[1])}
    theirs = {f.name: f.default for f in dataclasses.fields(MistralConfig)}
    ours = family_named("mistral").file.defaults

    assert {name: theirs[name] for name in ours} == ours
    assert {name for name in theirs if name in vars(MistralConfig)["__annotations__"]} == set(ours)
    assert base | set(ours) >= set(theirs)


def test_what_is_absent() -> None:
    """The bare model type is the class's default model, window 4,096 and eps 1e-6 included."""
    assert facts(normalised({})) == facts({"model_type": "mistral"})
    plan = facts({"model_type": "mistral"})
    assert (4096, 1e-6, 10000.0) == (
        plan["layers"][0]["mixer"]["sliding_window"],
        plan["norm"]["eps"],
        plan["layers"][0]["mixer"]["rope"]["theta"],
    )


def test_null_is_a_value() -> None:
    """A null window is full attention; null key heads are as many as query heads; a null width is the quotient."""
    plan = facts({**TINY, "sliding_window": None, "num_key_value_heads": None, "head_dim": None})
    mixer = plan["layers"][0]["mixer"]

    assert (None, 2, 4) == (mixer["sliding_window"], mixer["num_key_value_heads"], mixer["head_dim"])
    assert "full" == import_config({**TINY, "sliding_window": None}, "x").pattern
    assert "swa" == import_config(TINY, "x").pattern


def test_a_complete_file_of_the_first_era() -> None:
    """None of the keys that the library once wrote into every file is in the way."""
    assert facts({**TINY, "rms_norm_eps": 1e-5}) == facts({**FIRST_ERA, **TINY})


ROPES: list[dict[str, Any]] = [
    {},
    {"rope_theta": 500.0},
    {"rope_scaling": None, "rope_theta": 500},
    {"rope_scaling": {"type": "linear", "factor": 2.0}},
    {"rope_scaling": {"type": "dynamic", "factor": 4}, "rope_theta": 100.0},
    {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0}},
    {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 16.0, "truncate": False}},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 3000.0}, "rope_theta": 7.0},
    {"rope_parameters": {"rope_theta": 3000.0}, "rope_scaling": {}},
    {"rope_parameters": {"rope_theta": 3000.0}, "rope_scaling": {"type": "linear", "factor": 3.0}},
    {"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 16, "rope_theta": 10.0}},
    {"rope_parameters": {"rope_type": "proportional", "rope_theta": 10.0, "partial_rotary_factor": 0.5}},
    {"rope_scaling": {"type": "longrope", "short_factor": [1.0, 2.0], "long_factor": [2.0, 3.0],
                      "original_max_position_embeddings": 16}},
]  # fmt: skip
CHOICES: dict[str, list[Any]] = {
    "sliding_window": [..., None, 1, 5], "num_key_value_heads": [..., None, 1, 2, 4], "head_dim": [..., None, 4, 10],
    "tie_word_embeddings": [..., True, False], "hidden_act": [..., "gelu", "relu"], "rms_norm_eps": [..., 1e-5],
    "attention_dropout": [..., 0.1, 0], "initializer_range": [..., 0.1], "eos_token_id": [..., None, 5, [2, 3]],
    "num_hidden_layers": [1, 3], "torch_dtype": [..., "float16"], "vocab_size": [11, 12],
}  # fmt: skip


def drawn(seed: int) -> dict[str, Any]:
    """A configuration of either era."""
    draw = random.Random(seed)
    config = {
        **TINY,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_size": 16,
        **draw.choice(ROPES),
    }
    for key, values in CHOICES.items():
        value = draw.choice(values)
        config.pop(key, None) if value is ... else config.update({key: value})
    if "factor" in str(config) and "longrope" in str(config):
        config["head_dim"] = 4
    return {key: config[key] for key in draw.sample(list(config), len(config))}


@pytest.mark.parametrize("seed", range(prove.cases(40, 1000)))
def test_as_written_and_as_transformers_understands_it(seed: int) -> None:
    """Reading a file gives the plan of what transformers makes of it."""
    config = drawn(seed)
    if config.get("num_key_value_heads", 8) == 8:  # the default does not divide these few heads
        config["num_key_value_heads"] = 4

    assert facts(normalised(config)) == facts(config)
    prove.counted("configurations of both eras mean what transformers makes of them")


@pytest.mark.parametrize("seed", range(prove.cases(20, 500)))
def test_there_and_back(seed: int) -> None:
    """Exporting the plan of a configuration says what transformers itself would write."""
    config = {**drawn(seed), "num_key_value_heads": 4}
    plan = composer.resolve(import_config(config, "x"))
    written = export_config(plan, family_named("mistral"))
    theirs = normalised(config)

    assert facts(config) == facts(written)
    assert {key: theirs[key] for key in written if key not in ("architectures", "rope_parameters")} == {
        key: value for key, value in written.items() if key not in ("architectures", "rope_parameters")
    }


@pytest.mark.parametrize("name", [name for name in shipped_specs() if "mistral" in name])
def test_shipped_specs_fit_their_family(name: str) -> None:
    """Each of them can be written as a published configuration and names tensors that exist there."""
    plan = composer.resolve(composer.read_spec(name))
    config = export_config(plan, family_named(plan.spec.weights or ""))

    assert view(plan) == facts(config)


PUBLISHED: dict[str, dict[str, Any]] = {
    "v0.1": {"vocab_size": 32000, "rope_theta": 10000.0, "sliding_window": 4096},
    "v0.2": {"vocab_size": 32000, "rope_theta": 1000000.0, "sliding_window": None},
    "v0.3": {"vocab_size": 32768, "rope_theta": 1000000.0, "sliding_window": None},
}


@pytest.mark.parametrize("version", PUBLISHED)
@pytest.mark.parametrize("tuned", ["", "instruct-"])
def test_published_configurations_are_the_shipped_specs(version: str, tuned: str) -> None:
    """The file beside the weights and the spec by name are one plan."""
    config = {
        "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
        "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336, "model_type": "mistral",
        "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "transformers_version": "4.34.0.dev0", "use_cache": True, **PUBLISHED[version],
    }  # fmt: skip
    shipped = composer.resolve(composer.read_spec(f"mistral-7b-{tuned}{version}"))

    assert view(shipped) == facts(config)


def test_layer_types_belong_to_another_family() -> None:
    """The same model_type with a key for the types of the layers is not this model, whatever the types say."""
    types = {None: "swa", ("full_attention", "sliding_attention"): "full, swa"}
    for given, pattern in types.items():
        spec = import_config({**TINY, "head_dim": 4, "layer_types": given and list(given)}, "x")
        assert ("ministral", pattern) == (spec.weights, spec.pattern)


def test_a_missing_key_without_a_default() -> None:
    """A family without defaults says which key it needs, and for what."""
    known = families()["mistral"]
    text = Path(known.document.name).read_text(encoding="utf-8").replace("  vocab_size: 32000\n", "")
    names = ("config-keys", "rotary", "decoder-weights", "heads")
    family = Family(
        read_document(text, "f.yaml"), {name: read_document("ignored: {}", "k.yaml") for name in names}
    )

    assert "vocab_size" in family.reads["c"]
    assert "vocab_size" not in family.file.defaults
    assert 0 == len(family.weights.rows)
