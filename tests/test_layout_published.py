"""Every family: what an absent key means, there and back, and as many parameters as transformers counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

import composer
from composer.errors import WeightsError
from composer.layout.exporting import export_config
from composer.layout.family import families, family_named
from composer.layout.importing import import_config
from composer.layout.view import flat, view
from composer.plan import Plan
from composer.shipped import shipped_specs

from . import prove
from .published import FAMILIES, drawn, empty, written

NEW = list(FAMILIES)


def planned(config: dict[str, Any]) -> Plan:
    """The plan of a configuration."""
    return composer.resolve(import_config(config, "x"))


def plainly(default: Any) -> Any:
    """A default as transformers writes it into a file."""
    if isinstance(default, tuple):
        return [{"__float__": "Infinity"} if value == float("inf") else value for value in default]
    return default


@pytest.mark.parametrize("name", NEW)
def test_defaults_are_those_of_transformers(name: str) -> None:
    """An absent key means what the class says; each of its own fields is among the defaults."""
    known = CONFIG_MAPPING[name]
    fields = {field.name: field for field in dataclasses.fields(known)}
    ours = family_named(name).file.defaults
    theirs = {key: plainly(fields[key].default) for key in ours}
    expected = {key: value for key, value in theirs.items() if value is not dataclasses.MISSING}
    unread = {"model_type", *family_named(name).ignored, *family_named(name).only}

    assert expected == {key: ours[key] for key in expected}
    assert set(vars(known)["__annotations__"]) <= {*ours, *unread}
    assert set(ours) <= set(fields)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("seed", range(prove.cases(4, 300)))
def test_as_written_by_transformers(name: str, seed: int) -> None:
    """What was given and what transformers makes of it are one plan, which can be written as a configuration."""
    config = drawn(name, seed)
    plan, full = planned(config), written(config)
    back = export_config(plan, family_named(name))

    assert dict(flat(view(planned(full)))) == dict(flat(view(plan)))
    assert dict(flat(view(planned(back)))) == dict(flat(view(plan)))
    # A key that we write says what transformers says, or says it in the form of today.
    known = {key: value for key, value in back.items() if key not in ("architectures", "rope_parameters")}
    assert {key: full.get(key) for key in known} == known


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("seed", range(prove.cases(2, 100)))
def test_as_many_parameters(name: str, seed: int) -> None:
    """Our count is that of the model that transformers makes of the configuration."""
    config = drawn(name, seed)

    assert sum(p.numel() for p in empty(config).parameters()) == planned(config).parameter_count


PUBLISHED = [
    name
    for name in shipped_specs()
    if composer.read_spec(name).weights in NEW and (prove.FULL or not name.endswith("b-instruct"))
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_specs_fit_their_family(name: str) -> None:
    """Each can be written as a configuration, and transformers counts its parameters as its page does."""
    plan = composer.resolve(composer.read_spec(name))
    config = export_config(plan, family_named(plan.spec.weights or ""))

    assert dict(flat(view(plan))) == dict(flat(view(planned(config))))
    assert plan.spec.metadata["parameters"] == sum(p.numel() for p in empty(config).parameters())


def test_no_family_is_left_out() -> None:
    """Every family but the one with tests of its own is drawn here."""
    assert {*NEW, "mistral"} == set(families())


LARGE: dict[str, Any] = {
    "model_type": "zamba2", "vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 3, "n_mamba_heads": 4,
    "num_attention_heads": 2, "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"layers_block_type": ["mamba", "hybrid", "hybrid"]},
        {"layers_block_type": ..., "layer_types": ["mamba", "hybrid", "hybrid"]},
        {"hybrid_layer_ids": [1, 2], "mamba_headdim": 8, "attention_hidden_size": 32, "head_dim": 16},
        {"kv_channels": 99, "num_query_groups": 99, "time_step_limit": [5.0, 6.0], "use_conv_bias": False},
        {"intermediate_size": 64, "num_key_value_heads": 2, "rope_parameters": {"rope_theta": 5.0}},
        {"chunk_size": 7, "use_mamba_kernels": False, "use_mem_eff_path": True, "num_logits_to_keep": 3},
    ],
)
def test_keys_that_change_nothing(change: dict[str, Any]) -> None:
    """Older names, what is computed anyway, and what transformers does not read, mean the same model."""
    config = {key: value for key, value in {**LARGE, **change}.items() if value is not ...}

    assert view(planned(LARGE)) == view(planned(config))


def test_computed_keys_are_believed() -> None:
    """Where a file says what the class would compute, the file wins, as it does in transformers."""
    layer = view(planned({**LARGE, "attention_head_dim": 10, "use_long_context": True}))["layers"][1]

    assert (10, 5**-0.5) == (layer["shared-attn.attn"]["head_dim"], layer["shared-attn.attn"]["scale"])
    assert 16384 == planned({**LARGE, "use_long_context": True}).sizes.max_position_embeddings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"hybrid_layer_ids": [1]},
            "hybrid_layer_ids are not the layers that layers_block_type calls hybrid",
        ),
        ({"mamba_headdim": 5}, "n_mamba_heads times mamba_headdim must be mamba_expand times hidden_size"),
        ({"attention_hidden_size": 16}, "attention_hidden_size must be twice hidden_size"),
        ({"num_hidden_layers": 4}, "layers_block_type must have one entry for each of the num_hidden_layers"),
        ({"layers_block_type": ["m", "g", "g"]}, "layers_block_type may hold linear_attention"),
        (
            {"use_shared_attention_adapter": True, "num_key_value_heads": 1},
            "adapters of the attention need queries, keys and values of twice hidden_size",
        ),
    ],
)
def test_files_that_contradict_themselves(change: dict[str, Any], message: str) -> None:
    """What transformers could not build either is told in a sentence."""
    with pytest.raises(WeightsError, match=message) as caught:
        planned({**LARGE, **change})

    assert "E535" == caught.value.code


def test_the_usual_layers() -> None:
    """A file without layer types has those of the class; the shared block takes turns."""
    plan = planned({"model_type": "zamba2", "num_mem_blocks": 2, "n_mamba_heads": 80})
    ids = (6, 12, 18, 24, 30, 36, 42, 47, 51)

    assert {"shared-attn": tuple((layer, use % 2) for use, layer in enumerate(ids))} == plan.uses
    assert 2662214560 == plan.parameter_count


@pytest.mark.parametrize("family", ["ministral", "gemma2"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"layer_types": ["full_attention", "chunked_attention"]},
            "full_attention and sliding_attention only",
        ),
        ({"layer_types": ["full_attention"]}, "one entry for each of the num_hidden_layers"),
        ({"layer_types": ["sliding_attention"] * 2, "sliding_window": None}, "sliding_window is null"),
    ],
)
def test_layer_types_that_cannot_be(family: str, change: dict[str, Any], message: str) -> None:
    """Unknown types, too few of them, a window that is not there."""
    config = {**drawn(family, 0), "num_hidden_layers": 2, **change}
    with pytest.raises(WeightsError, match=message):
        planned(config)


def test_padding_of_texts_alone() -> None:
    """A model whose table trains every row can be written, whatever token pads texts; so can an older -1."""
    spec = composer.read_spec("llama-3.2-1b")
    padded = spec.model_copy(update={"generation": {**spec.generation, "pad_token_id": 7}})
    config = export_config(composer.resolve(padded), family_named("llama"))

    assert 7 == config["pad_token_id"]
    assert (7, None) == tuple(planned({**config, "pad_token_id": pad}).embedding.padding for pad in (7, -1))


@pytest.mark.parametrize(
    ("name", "change", "path"),
    [
        ("zamba2-2.7b", "blocks.mamba.dt_min=0.001", "mixer.dt_min"),
        ("zamba2-2.7b", "blocks.attn.scale=0.1", "shared-attn.attn.scale"),
        ("zamba2-2.7b", "blocks.attn.sliding_window=7", "shared-attn.attn.sliding_window"),
        ("zamba2-2.7b", "init.D.mean=2.0", "init.D.mean"),
        ("opt-125m", "norm.eps=1e-6", "norm.eps"),
        ("opt-125m", "embedding.positions.offset=0", "embedding.positions"),
        ("ministral-8b-instruct-2410", "blocks.swa.rope.theta=1e4", "mixer.rope.theta"),
        ("gemma-2-2b", "embedding.scale=7.0", "embedding.scale"),
        ("gemma-2-2b", "norm.offset=0.0", "offset"),
        ("gpt2", "blocks.mlp.bias=false", "mlp.bias"),
        ("mamba2-130m", "max_position_embeddings=9", "max_position_embeddings"),
        ("llama-3.2-1b", "blocks.full.out_bias=true", "mixer.out_bias"),
    ],
)
def test_what_a_configuration_cannot_say(name: str, change: str, path: str) -> None:
    """A plan that its family has no words for is refused, and the field is named."""
    plan = composer.resolve(composer.read_spec(name, set=[change]))
    with pytest.raises(WeightsError) as caught:
        export_config(plan, family_named(plan.spec.weights or ""))

    assert {"E536"} == {problem.code for problem in caught.value.problems}
    assert path in str(caught.value)
