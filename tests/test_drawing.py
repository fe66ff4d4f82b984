"""Groups of linears that a spec draws apart from all others."""

from __future__ import annotations

import math
from typing import Any

import pytest

import composer
from composer.describe import plan_text
from composer.layout.exporting import export_config
from composer.layout.family import families
from composer.layout.importing import import_config
from composer.layout.view import view

TINY = """
composer: 1
name: tiny
vocab_size: 64
hidden_size: 32
norm: {kind: rms, eps: 1.0e-5}
layer: [{norm: rms, mix: mixer}, {norm: rms, mix: mlp}]
pattern: full, swa
layers: 4
blocks:
  full: {kind: attention, num_attention_heads: 4, num_key_value_heads: 2, bias: true, out_bias: true}
  swa: {extends: full, sliding_window: 16}
  mlp: {kind: mlp, intermediate_size: 64, hidden_act: silu, gated: true}
"""
APART = """
init:
  full.out: {distribution: constant, mean: 0.5}
  mlp.gate_up: {distribution: uniform, spread: 0.25}
"""
GPT2 = {
    "model_type": "gpt2", "vocab_size": 31, "n_positions": 16, "n_embd": 16, "n_layer": 3, "n_head": 2,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def resolved(text: str, **assigned: str) -> composer.Plan:
    return composer.resolve(composer.read_spec(text, set=[f"{k}={v}" for k, v in assigned.items()]))


def test_what_is_drawn_apart() -> None:
    """The weights of that group in that block; not its biases, not the blocks that extend it."""
    kinds = {name: param.init for name, param in resolved(TINY + APART).parameters().items()}

    assert {"layers.0.mixer.out.o.weight", "layers.2.mixer.out.o.weight"} == {
        name for name, kind in kinds.items() if kind == "full.out"
    }
    assert {f"layers.{i}.mlp.gate_up.{part}.weight" for i in range(4) for part in ("gate", "up")} == {
        name for name, kind in kinds.items() if kind == "mlp.gate_up"
    }
    assert ("bias", "linear") == (kinds["layers.0.mixer.out.o.bias"], kinds["layers.1.mixer.out.o.weight"])


def test_the_numbers_of_a_model() -> None:
    """Built, the weights of the group are as was said, and everything else as without it."""
    built = composer.build(resolved(TINY + APART), seed=3).state_dict()

    assert {0.5} == {*built["layers.2.mixer.out.o.weight"].flatten().tolist()}
    assert 0.25 > built["layers.1.mlp.gate_up.up.weight"].abs().max() > 0.24
    assert {0.0} == {*built["layers.2.mixer.out.o.bias"].flatten().tolist()}
    assert 0.02 == pytest.approx(float(built["layers.1.mixer.out.o.weight"].std()), rel=0.1)


def test_from_a_command_line() -> None:
    """The name has a dot of its own, and the last word may be a number of the draw."""
    whole = resolved(TINY, **{"init.full.out": "{distribution: constant, mean: 0.5}"})
    part = resolved(TINY + APART, **{"init.full.out.mean": "0.75", "init.linear": "{distribution: constant}"})

    assert (0.5, 0.75, "constant") == (
        whole.init["full.out"].mean, part.init["full.out"].mean, part.init["linear"].distribution
    )  # fmt: skip


def test_names_of_words_play_no_part() -> None:
    """Two plans that differ by what their blocks are called say the same of every layer."""
    renamed = (TINY + APART).replace("full", "all")

    assert view(resolved(TINY + APART)) == view(resolved(renamed))
    assert view(resolved(TINY + APART)) != view(resolved(TINY))
    assert "mixer.out.o.weight: 32 x 32, full.out" in plan_text(resolved(TINY + APART))


@pytest.mark.parametrize("drop", [(), ("full.out",), ("full.out", "mlp.down")])
def test_a_file_says_one_spread_and_the_rest_follows(drop: tuple[str, ...]) -> None:
    """What a family derives for single matrices keeps no model from being written in its layout."""
    spec = import_config(GPT2, "mine")
    init = {kind: draw for kind, draw in spec.init.items() if kind not in drop}
    plan = composer.resolve(spec.model_copy(update={"init": init}))
    again: dict[str, Any] = export_config(plan, families()["gpt2"])

    assert 0.02 / math.sqrt(6) == pytest.approx(spec.init["mlp.down"].spread)
    assert import_config(again, "mine").init == spec.init
