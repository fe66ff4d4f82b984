"""Many tokens at a time are what token after token is, to the last digits of float64; and the bounded root."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rg_lru import recurrence


def inputs(tokens: int, keeps: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Of two rows and five channels, with a memory that enters; some tokens find none."""
    torch.manual_seed(tokens)
    decay = torch.exp(-torch.rand(2, tokens, 5, dtype=dtype) / keeps)
    decay = decay * (torch.rand(2, tokens, 5) > 0.1)
    return [decay, torch.randn(2, tokens, 5, dtype=dtype), torch.randn(2, 5, dtype=dtype)]


@pytest.mark.parametrize("keeps", [0.01, 1.0, 1e4])
@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 15, 16, 17, 100, 1000])
def test_scan(tokens: int, keeps: float) -> None:
    """However long, and however fast the memory fades."""
    given = inputs(tokens, keeps)
    expected = recurrence.recur(*given)
    for actual, right in zip(recurrence.scan(*given), expected, strict=True):
        torch.testing.assert_close(actual, right, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("tokens", [1, 2, 50])
def test_gradients(tokens: int) -> None:
    """Those of the scan are those of the loop, also where nothing is kept."""
    given = [part.requires_grad_() for part in inputs(tokens, 1.0)]
    found = [
        torch.autograd.grad(way(*given)[0].sin().sum(), given) for way in (recurrence.scan, recurrence.recur)
    ]
    for actual, right in zip(*found, strict=True):
        torch.testing.assert_close(actual, right, rtol=1e-10, atol=1e-12)


def test_the_root_is_not_too_steep() -> None:
    """Its slope is that of a root down to 1/(4 * 1000^2), and 1000 below."""
    x = torch.tensor([0.0, 1e-8, 2.5e-7, 1e-4, 1.0], dtype=torch.float64, requires_grad=True)
    y = recurrence.root(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(y, x.sqrt())
    torch.testing.assert_close(x.grad, torch.tensor([1e3, 1e3, 1e3, 50.0, 0.5], dtype=torch.float64))
