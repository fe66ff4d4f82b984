"""In half precision the block errs no more than the module of transformers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from .beside import CASES, Case, Pair, positions


def error(actual: Tensor, expected: Tensor) -> float:
    """Root mean square, in units of that of what is expected."""
    return float((actual.float() - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", CASES[6:12:2], ids=repr)
def test_half(case: Case, dtype: torch.dtype) -> None:
    """Against theirs in float32 with the same rounded weights, at most a tenth further off than theirs."""
    pair = Pair(case)
    x, where = pair.x.to(dtype), positions(0, case.tokens)
    theirs = pair.theirs.to(dtype)
    with torch.no_grad():
        halves, _ = theirs(x, where, None, use_cache=False)
        expected, _ = theirs.float()(x.float(), where, None, use_cache=False)
        ours = pair.ours.to(dtype)
        ours.block.load_state_dict(pair.weights)
        found = ours(x)

    assert dtype == found.dtype
    assert error(found, expected) <= 1.1 * error(halves, expected)


@pytest.mark.parametrize("case", CASES[6:12:2], ids=repr)
def test_autocast(case: Case) -> None:
    """Projections in bfloat16, what is summed over many tokens in float32: no further off than all in bfloat16."""
    pair = Pair(case)
    with torch.no_grad():
        expected = pair.ours(pair.x)
        with torch.autocast("cpu", torch.bfloat16):
            found = pair.ours(pair.x)
        halves = pair.ours.to(torch.bfloat16)(pair.x.to(torch.bfloat16))

    assert error(found, expected) <= error(halves, expected)
