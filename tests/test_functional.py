"""Norms and activations against the reference implementation, bit for bit."""

from __future__ import annotations

import typing

import pytest
import torch
from transformers.activations import ACT2FN
from transformers.models.mistral.modeling_mistral import MistralRMSNorm

from composer.nn.activations import activation
from composer.nn.functional import layer_norm, rms_norm
from composer.options import ActivationName

NAMES = typing.get_args(ActivationName)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def drawn(*shape: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    return (torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_an_activation_is_the_references_to_the_last_bit(name: ActivationName, dtype: torch.dtype) -> None:
    """Whole values, tails of a vector register and special numbers included."""
    x = torch.cat(
        (drawn(4099, dtype=dtype), torch.tensor([0.0, -0.0, 40, -40, torch.inf, -torch.inf]).to(dtype))
    )

    actual = activation(name)(x.clone())

    expected = ACT2FN[name](x.clone())
    assert torch.equal(actual.nan_to_num(7), expected.nan_to_num(7))


def test_every_activation_without_parameters_is_offered() -> None:
    """The two that are left out carry weights of their own."""
    assert set(NAMES) == set(ACT2FN) - {"prelu", "xielu"}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 64), (3, 5, 96), (2, 7, 1000), (1, 300, 257)], ids=str)
def test_rms_norm_rounds_where_the_reference_rounds(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """The quotient is cast to the input's dtype before the weight multiplies it."""
    reference = MistralRMSNorm(shape[-1], eps=1e-5).to(dtype)
    reference.weight.data = drawn(shape[-1], dtype=dtype, seed=1)
    x = drawn(*shape, dtype=dtype)

    actual = rms_norm(x, reference.weight, 1e-5)

    assert torch.equal(actual, reference(x))


def test_layer_norm_is_torchs_own() -> None:
    """With and without weight and bias."""
    module = torch.nn.LayerNorm(48, eps=1e-3)
    x = drawn(2, 3, 48, dtype=torch.float32)

    assert torch.equal(layer_norm(x, module.weight, module.bias, 1e-3), module(x))
    assert torch.equal(layer_norm(x, None, None, 1e-3), module(x))


def test_norms_have_gradients() -> None:
    """Both norms are differentiable in input and weight."""
    x = drawn(2, 5, dtype=torch.float64).requires_grad_()
    weight, bias = (drawn(5, dtype=torch.float64, seed=seed).requires_grad_() for seed in (1, 2))

    assert torch.autograd.gradcheck(lambda *a: rms_norm(*a, 1e-6), (x, weight))
    assert torch.autograd.gradcheck(lambda *a: layer_norm(*a, 1e-6), (x, weight, bias))
