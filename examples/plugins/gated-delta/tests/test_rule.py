"""Many tokens at a time are what token after token is, to the last digits of float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gated_delta import delta


def inputs(tokens: int, fading: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Of two rows, two heads of keys and six of values, with a memory that enters."""
    torch.manual_seed(tokens)
    q, k = (delta.unit(torch.randn(2, tokens, 2, 5, dtype=dtype)) for _ in range(2))
    v, memory = torch.randn(2, tokens, 6, 3, dtype=dtype), torch.randn(2, 6, 5, 3, dtype=dtype)
    log_decay = -fading * torch.rand(2, tokens, 6, dtype=dtype)
    return [q, k, v, log_decay, torch.rand(2, tokens, 6, dtype=dtype), memory]


@pytest.mark.parametrize("fading", [0.0, 0.1, 30.0])
@pytest.mark.parametrize("tokens", [1, 2, 63, 64, 65, 130, 300])
def test_scan(tokens: int, fading: float) -> None:
    """However long, and however fast the memory fades."""
    given = inputs(tokens, fading)
    expected = delta.recur(*given)
    for actual, right in zip(delta.scan(*given), expected, strict=True):
        torch.testing.assert_close(actual, right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tokens", [2, 64, 150])
def test_packed(tokens: int) -> None:
    """Sequences that begin anywhere in a chunk find no memory; the first goes on from what enters."""
    given = inputs(tokens, 0.1)
    segments = (torch.rand(2, tokens) < 0.1).cumsum(1)
    expected = delta.recur(*given, segments)
    for actual, right in zip(delta.scan(*given, segments), expected, strict=True):
        torch.testing.assert_close(actual, right, rtol=1e-10, atol=1e-12)


def test_gradients_are_finite_where_all_fades() -> None:
    """In float32, with decays whose product no number can hold."""
    given = [part.requires_grad_() for part in inputs(130, 40.0, torch.float32)]
    delta.scan(*given)[0].sum().backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in given)


def test_single_tokens_are_written_in_place() -> None:
    """Where no gradient is wanted a step takes no memory of its own for the memory."""
    given = inputs(1, 0.1)
    expected = delta.recur(*given)[1]
    with torch.no_grad():
        memory = delta.scan(*given)[1]
    assert given[-1].data_ptr() == memory.data_ptr()
    torch.testing.assert_close(memory, expected)
