"""Half precision: our error against a float64 run is no larger than the reference's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

import composer

from .. import prove
from .oracle import Pair, root_mean_square

DTYPES = [torch.bfloat16, torch.float16]
STEPS = 24


def errors_ratio(pair: Pair, dtype: torch.dtype, ids: Tensor, ours: Tensor, theirs: Tensor) -> float:
    """Our error over the reference's; what is exact is the reference with the same rounded weights in float64."""
    exact = pair.reference("sdpa", dtype).double()(ids, use_cache=False).logits
    assert ours.dtype == theirs.dtype == dtype
    return root_mean_square(ours, exact) / root_mean_square(theirs, exact)


@torch.no_grad()
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_half_precision_errs_no_more_than_the_reference(newest: Pair, dtype: torch.dtype) -> None:
    """One call for the whole prompt."""
    theirs = newest.reference("sdpa", dtype)(newest.ids, use_cache=False).logits
    ours = composer.load(newest.folder, dtype=dtype)(newest.ids).logits

    ratio = errors_ratio(newest, dtype, newest.ids, ours, theirs)
    prove.at_most(f"error in {name(dtype)} over the reference's", ratio, 1.1)


@torch.no_grad()
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_half_precision_errs_no_more_step_by_step(newest: Pair, dtype: torch.dtype) -> None:
    """Token after token, each with its own cache."""
    reference, model = newest.reference("sdpa", dtype), composer.load(newest.folder, dtype=dtype)
    ids = newest.ids[:, :STEPS]
    remembered, cache = DynamicCache(config=reference.config), model.new_cache(len(ids), max_length=STEPS)

    theirs = one_by_one(ids, lambda token: reference(token, past_key_values=remembered).logits)
    ours = one_by_one(ids, lambda token: model(token, past_key_values=cache).logits)

    ratio = errors_ratio(newest, dtype, ids, ours, theirs)
    prove.at_most(f"error in {name(dtype)} over the reference's, step by step", ratio, 1.1)


def one_by_one(ids: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
    """The logits of single-token calls, joined."""
    return torch.cat([run(token) for token in ids.split(1, dim=1)], 1)


def name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
