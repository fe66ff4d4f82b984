"""From a plan to a model: every parameter as planned, drawn as the spec says, nothing more taken than needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

import composer

from .models import ids, model, plan

SHAPES: list[dict[str, Any]] = [
    {},
    {"windows": (None, 3, 1)},
    {"bias": True, "out_bias": True, "rope": None},
    {"num_key_value_heads": 1, "head_dim": 3, "rope": None},
    {"head": "base"},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_are_the_plans(shape: dict[str, Any]) -> None:
    """Names, shapes and order of named_parameters() are the plan's; the count is exact; there are no buffers."""
    planned = plan(**shape)
    built = composer.build(planned)
    found = {name: tuple(p.shape) for name, p in built.named_parameters()}

    assert [(n, p.shape) for n, p in planned.parameters().items()] == list(found.items())
    assert planned.parameter_count == sum(p.numel() for p in built.parameters())
    assert [] == list(built.buffers())


def test_meta_builds_take_no_memory() -> None:
    """A model far larger than this machine is built in a moment."""
    spec = plan().spec.model_copy(update={"vocab_size": 2**24, "hidden_size": 2**20})
    built = composer.build(composer.resolve(spec), device="meta", dtype=torch.bfloat16)

    assert all(p.is_meta and p.dtype == torch.bfloat16 for p in built.parameters())
    assert sum(p.numel() for p in built.parameters()) > 3e13


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_dtype_is_the_models(dtype: torch.dtype) -> None:
    """Every parameter and the logits are of the dtype asked for, and torch's default is left alone."""
    built = composer.build(plan(), dtype=dtype)

    assert {dtype} == {p.dtype for p in built.parameters()}
    assert built(ids(1, 3)).logits.dtype == dtype
    assert torch.get_default_dtype() == torch.float32


def test_a_seed_repeats_and_leaves_the_generator_alone() -> None:
    """The same seed draws the same model, another one another; torch's own generator does not move."""
    state = torch.get_rng_state()
    one, same, other = model(seed=1), model(seed=1), model(seed=2)

    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.embed.weight, other.embed.weight)


def test_without_a_seed_the_generator_decides() -> None:
    """torch.manual_seed makes the draw repeat, and two draws in a row differ."""
    torch.manual_seed(5)
    one, other = composer.build(plan()), composer.build(plan())
    torch.manual_seed(5)

    assert torch.equal(one.embed.weight, composer.build(plan()).embed.weight)
    assert not torch.equal(one.embed.weight, other.embed.weight)


@pytest.mark.parametrize(
    ("draw", "mean", "deviation", "bound"),
    [
        ({"distribution": "normal", "mean": 0.5, "spread": 0.1}, 0.5, 0.1, 9.0),
        ({"distribution": "uniform", "mean": -1.0, "spread": 0.3}, -1.0, 0.3 / 3**0.5, 0.3),
        ({"distribution": "constant", "mean": 0.25}, 0.25, 0.0, 0.0),
    ],
)
def test_values_are_drawn_as_described(
    draw: dict[str, Any], mean: float, deviation: float, bound: float
) -> None:
    """Mean, deviation and range of every distribution that a spec can name."""
    sizes = {
        "vocab_size": 300,
        "hidden_size": 200,
        "init": {"embedding": composer.Spec.model_fields and draw},
    }
    spec = composer.Spec.model_validate(plan().spec.model_dump(exclude_unset=True) | sizes)
    table = composer.build(composer.resolve(spec), seed=0).embed.weight

    assert mean == pytest.approx(table.mean().item(), abs=2e-3)
    assert deviation == pytest.approx(table.std().item(), abs=2e-3)
    assert (table - mean).abs().max().item() <= bound + 1e-6


def test_defaults_of_the_draws() -> None:
    """Unnamed kinds: linears and tables deviate by 0.02, biases are 0, norms 1."""
    spec = plan(bias=True).spec.model_copy(update={"init": {}, "vocab_size": 400})
    built = composer.build(composer.resolve(spec), seed=0)
    values = dict(built.named_parameters())

    assert 0.02 == pytest.approx(values["embed.weight"].std().item(), rel=0.05)
    assert 0.02 == pytest.approx(values["head.weight"].std().item(), rel=0.05)
    assert not values["layers.0.mixer.qkv.q.bias"].any()
    assert (values["norm.weight"] == 1).all()


def test_models_start_in_evaluation() -> None:
    """Dropout is for those who call train()."""
    built = model(attention_dropout=0.5)

    assert not any(module.training for module in built.modules())
    assert torch.equal(built(ids(1, 5)).logits, built(ids(1, 5)).logits)


def test_building_and_running_leave_the_compiler_alone() -> None:
    """torch's compiler takes a second and a half to import and nothing here needs it."""
    code = """
import sys, torch, composer
model = composer.build(composer.resolve(composer.read_spec("pocket-mistral")), seed=0)
with torch.no_grad():
    model.prepare()(torch.tensor([[1, 2, 3]]), use_cache=True)
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("False False\n", "") == (done.stdout, done.stderr)


def test_a_model_without_memory_runs() -> None:
    """On the meta device a call computes shapes, with states as with attention."""
    built = composer.build(composer.resolve(composer.read_spec("pocket-zamba2")), device="meta")

    assert (2, 5, 2048) == built(torch.zeros(2, 5, dtype=torch.int64, device="meta")).logits.shape
