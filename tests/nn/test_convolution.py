"""The short causal convolution that blocks share."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from composer.nn import Step, convolve, exactly


def step(
    tokens: int, *, counts: tuple[int, ...] | None = None, segments: Tensor | None = None, slow: bool
) -> Step:
    """A call of two rows."""
    kernel = "reference" if slow else "sdpa"
    return Step(
        torch.zeros(2, tokens, 1), (0, 0), counts or (tokens, tokens), segments=segments, attention=kernel
    )


def given(
    tokens: int, bias: bool, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Inputs of six channels, what was before them, kernels of four and a bias."""
    x, before = torch.randn(2, tokens, 6, dtype=dtype), torch.randn(2, 3, 6)
    return x, before, torch.randn(6, 4, dtype=dtype), torch.randn(6, dtype=dtype) if bias else None


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("tokens", [1, 2, 9])
@pytest.mark.parametrize("bias", [False, True])
def test_it_is_torchs_over_the_whole_row(tokens: int, bias: bool, slow: bool) -> None:
    """With what was remembered in front, and the newest inputs handed back."""
    x, before, weight, offset = given(tokens, bias)
    full = torch.cat([before, x], 1)
    expected = F.conv1d(full.mT, weight[:, None], offset, groups=6).mT
    y, after = convolve(x, before, weight, offset, step(tokens, slow=slow))
    assert torch.allclose(expected, y, atol=1e-5)
    assert torch.equal(full[:, -3:], after)


@pytest.mark.parametrize("slow", [False, True])
def test_packed_sequences_are_apart(slow: bool) -> None:
    """Each as it would be alone, and none sees what was before the call."""
    x, before, weight, offset = given(7, bias=True)
    packed = torch.tensor([[5, 5, 5, 2, 2, 2, 2], [0, 1, 1, 1, 1, 1, 2]])
    y, _ = convolve(x, before, weight, offset, step(7, segments=packed, slow=slow))
    for row, start, stop in ((0, 0, 3), (0, 3, 7), (1, 0, 1), (1, 1, 6), (1, 6, 7)):
        part = F.pad(x[row : row + 1, start:stop].mT, (3, 0))
        expected = F.conv1d(part, weight[:, None], offset, groups=6).mT[0]
        assert torch.allclose(expected, y[row, start:stop], atol=1e-5)


@pytest.mark.parametrize("counts", [(5, 3), (0, 5), (1, 2), (5, 5)])
def test_pads_are_not_remembered(counts: tuple[int, ...]) -> None:
    """The newest inputs are those of real tokens, those of earlier calls where there are too few."""
    x, before, weight, _ = given(5, bias=False)
    _, after = convolve(x, before, weight, None, step(5, counts=counts, slow=False))
    for row, count in enumerate(counts):
        assert torch.equal(torch.cat([before[row], x[row, :count]])[-3:], after[row])


@pytest.mark.parametrize("slow", [False, True])
def test_a_call_in_parts_is_the_call_at_once(slow: bool) -> None:
    """Parts that are shorter than the kernel, that end within the pads, and that cut packed sequences."""
    x, before, weight, offset = given(11, bias=True)
    packed = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2], [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]])
    for segments in (None, packed):
        call = step(11, counts=(11, 6), segments=segments, slow=slow)
        expected, last = convolve(x, before, weight, offset, call)
        held, found = before, []
        for span in (slice(0, 2), slice(2, 3), slice(3, 7), slice(7, 11)):
            y, held = convolve(x[:, span], held, weight, offset, call, span)
            found.append(y)
        assert torch.allclose(expected[call.valid], torch.cat(found, 1)[call.valid], atol=1e-5)
        assert torch.equal(last, held)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_it_computes_in_float32_or_better(dtype: torch.dtype) -> None:
    """Whatever the dtype of the stream, the weights and the state."""
    x, before, weight, _ = given(5, bias=False, dtype=dtype)
    wide = torch.promote_types(dtype, torch.float32)
    expected, _ = convolve(x.to(wide), before, weight.to(wide), None, step(5, slow=False))
    y, after = convolve(x, before, weight, None, step(5, slow=False))
    assert [wide, wide] == [y.dtype, after.dtype]
    assert torch.equal(expected, y)


def test_autocast_is_off_where_all_must_be_exact() -> None:
    """Within `exactly` a product stays in float32; without autocast it is nothing."""
    x = torch.randn(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        with exactly(x.device):
            assert torch.float32 == (x @ x).dtype
        assert torch.bfloat16 == (x @ x).dtype
    assert isinstance(exactly(x.device), nullcontext)
