"""Every field of every configuration class decides something here, or is listed as passed over with its reason."""

from __future__ import annotations

import dataclasses
import os
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, PreTrainedConfig

import composer
from composer import ComposerError, Spec
from composer.layout.family import families
from composer.layout.importing import import_config
from composer.layout.view import view
from composer.shipped import specs_folder
from composer.source import read_file

DOCS = Path(__file__).parents[1] / "docs"
MADE = runpy.run_path(str(DOCS / "make_config_fields.py"))
SMALL = {"num_hidden_layers": 3, "bos_token_id": 1, "eos_token_id": 2, "vocab_size": 99}
BASES: dict[str, dict[str, Any]] = {
    "mistral": SMALL,
    "ministral": {**SMALL, "layer_types": ["full_attention", "full_attention", "sliding_attention"]},
    "zamba2": {**SMALL, "layers_block_type": ["mamba", "hybrid", "hybrid"], "use_mem_rope": True},
    "opt": SMALL,
    "llama": SMALL,
    "gemma2": SMALL,
    "gpt2": {"n_layer": 2, "bos_token_id": 1, "eos_token_id": 2, "vocab_size": 99},
    "mamba2": {"num_hidden_layers": 3, "vocab_size": 99},
}
# Another value of each field than its default and than the one above.  A list of fields goes together.
OTHERS: dict[str, Any] = {
    "_remove_final_layer_norm": True, "activation_function": "gelu", "adapter_rank": 3, "add_bias_linear": True,
    "attention_bias": True, "attention_dropout": 0.25, "attn_logit_softcapping": 9.0, "attn_pdrop": 0.25,
    "bos_token_id": 5, "conv_kernel": 3, "do_layer_norm_before": False, "dropout": 0.25, "embd_pdrop": 0.25,
    "enable_bias": False, "eos_token_id": [7, 8], "ffn_dim": 40, "final_logit_softcapping": None, "head_dim": 8,
    "hidden_act": "relu", "hidden_activation": "relu", "init_std": 0.5, "initializer_range": 0.5,
    "intermediate_size": 40, "layer_norm_elementwise_affine": False, "layer_norm_epsilon": 0.5, "layerdrop": 0.25,
    "layer_types": ["sliding_attention", "full_attention", "full_attention"],
    "layers_block_type": ["hybrid", "mamba", "hybrid"], "mamba_d_conv": 3, "mamba_d_state": 5, "mamba_expand": 3,
    "mamba_ngroups": 2, "max_position_embeddings": 32, "mlp_bias": True, "n_groups": 4, "n_head": 4,
    "n_inner": 40, "n_layer": 4, "n_mamba_heads": 4, "n_positions": 32, "num_attention_heads": 16,
    "num_key_value_heads": 2, "num_mem_blocks": 2, "pad_token_id": 9, "query_pre_attn_scalar": 3,
    "resid_pdrop": 0.25, "rms_norm_eps": 0.5, "rope_parameters": {"rope_type": "linear", "factor": 2.0},
    "scale_attn_weights": False, "sliding_window": 7, "state_size": 5, "time_step_floor": 0.5,
    "time_step_limit": [0.5, 0.75], "time_step_max": 0.5, "time_step_min": 0.05, "use_bias": True,
    "use_conv_bias": False, "use_long_context": True, "use_mem_rope": False, "use_shared_attention_adapter": True,
    "vocab_size": 98, "word_embed_proj_dim": 8,
}  # fmt: skip
# Fields that are bound to others: what else has to change for the value to be possible.
WITH: dict[tuple[str, str], dict[str, Any]] = {
    ("opt", "hidden_size"): {"hidden_size": 48},
    ("ministral", "num_hidden_layers"): {"num_hidden_layers": 4, "layer_types": ["full_attention"] * 4},
    ("zamba2", "num_hidden_layers"): {"num_hidden_layers": 4, "layers_block_type": ["hybrid"] * 4},
    ("gpt2", "n_embd"): {"n_embd": 48},
    ("mamba2", "hidden_size"): {"hidden_size": 512, "num_heads": 16},
    ("mamba2", "num_heads"): {"num_heads": 64, "head_dim": 128},
    ("mamba2", "head_dim"): {"num_heads": 64, "head_dim": 128},
    ("mamba2", "expand"): {"expand": 1, "num_heads": 64},
    ("zamba2", "hidden_size"): {"hidden_size": 64},
}


def fields(family: str) -> list[str]:
    """The fields of a configuration class that are its own."""
    shared = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    every = dataclasses.fields(type(AutoConfig.for_model(family)))
    return [field.name for field in every if field.name not in shared]


def passed_over(family: str) -> set[str]:
    """The fields that decide nothing, each with its reason in the family's file."""
    known = families()[family]
    return {field for field in fields(family) if field in known.ignored or field in known.only}


def spec(family: str, **changes: Any) -> Spec:
    """The spec of a small configuration."""
    return import_config({"model_type": family, **BASES[family], **changes}, "x")


def facts(family: str, **changes: Any) -> Any:
    """Everything that the plan of a small configuration decides, and the tokens that generation knows."""
    made = spec(family, **changes)
    return view(composer.resolve(made)), made.generation


def places(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a spec with its key path, written as the page does."""
    if isinstance(value, dict):
        for key, part in value.items():
            word = "*" if path == "blocks." and key in ("swa", "full") else key
            yield from places(part, f"{path}{word}.")
    elif isinstance(value, list | tuple):
        for part in value:
            yield from places(part, path)
    else:
        yield path.removesuffix("."), repr(value)


def changed(family: str, field: str) -> dict[str, Any]:
    """The field with another value, and whatever has to go with it."""
    default = {**families()[family].file.defaults, **BASES[family]}[field]
    if (family, field) in WITH:
        return WITH[family, field]
    if field in OTHERS and OTHERS[field] != default:
        return {field: OTHERS[field]}
    if isinstance(default, bool):
        return {field: not default}
    return {field: 4 if field == "num_hidden_layers" else 64}


DECIDING = [
    (family, field) for family in BASES for field in fields(family) if field not in passed_over(family)
]


EACH = pytest.mark.parametrize(("family", "field"), DECIDING, ids=[f"{one}-{two}" for one, two in DECIDING])


@EACH
def test_a_field_decides_something(family: str, field: str) -> None:
    """With another value the plan is another one."""
    change = changed(family, field)
    assert field in change

    assert facts(family) != facts(family, **change)


@EACH
def test_a_field_decides_what_the_page_says(family: str, field: str) -> None:
    """Where the spec changes with a field is where the page says."""
    change, decided = changed(family, field), MADE["decides"](families()[family])
    told = [path for key in change for path in decided.get(key, ())]
    before, after = (set(places(each.model_dump())) for each in (spec(family), spec(family, **change)))
    found = {path for path, _ in before ^ after}

    assert found
    assert set() == {path for path in found if not any(under(path, each) for each in told)}


def under(path: str, told: str) -> bool:
    """Whether a key path is one that the page names, or inside of it; blocks of attention go by any word."""
    names = [told, told.replace("blocks.full", "blocks.*").replace("blocks.swa", "blocks.*")]
    return any(f"{path}.".startswith(f"{name}.") or f"{name}.".startswith(f"{path}.") for name in names)


def test_widths_that_bind_each_other() -> None:
    """A field that decides nothing of its own is held against those that do."""
    with pytest.raises(ComposerError, match="E535"):
        facts("mamba2", expand=1)


@pytest.mark.parametrize("family", BASES)
def test_a_field_that_is_passed_over(family: str) -> None:
    """It has a reason on the page; where it may have one value only, another one is refused."""
    known, told = families()[family], MADE["page"]()
    for field in passed_over(family) & set(known.ignored):
        assert f"{known.ignored[field]} |" in told
        assert facts(family) == facts(family, **{field: "anything"})
    for field in passed_over(family) & set(known.only):
        with pytest.raises(ComposerError, match="E533"):
            facts(family, **{field: "anything"})


@pytest.mark.parametrize("family", BASES)
def test_the_page_has_every_field(family: str) -> None:
    """Every field has its row, but for those that every configuration may have."""
    section = MADE["page"]().split(f"## {family}\n")[1].split("\n## ")[0]
    common = set(read_file(specs_folder() / "families" / "config-keys.yaml").data["only"])

    assert set() == {field for field in fields(family) if f"| `{field}` |" not in section} - common


def test_fields_of_every_configuration() -> None:
    """What the base class adds is read or listed in every family."""
    shared = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    for family in families().values():
        assert set() == shared - set(family.ignored) - set(family.only) - family.reads["c"]


def test_no_family_is_left_out() -> None:
    """A new family comes with its fields."""
    assert set(families()) == set(BASES)


def test_the_page_is_up_to_date() -> None:
    """The page is what the files say; COMPOSER_GOLDEN=1 writes it anew."""
    expected = MADE["page"]()
    if os.environ.get("COMPOSER_GOLDEN") == "1":
        (DOCS / "config-fields.md").write_text(expected, encoding="utf-8")

    assert expected == (DOCS / "config-fields.md").read_text(encoding="utf-8")
