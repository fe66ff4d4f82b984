"""Half precision: our error against a float64 run is no larger than the reference's."""

from __future__ import annotations

import pytest
import torch

import composer

from .. import prove
from .oracle import Pair, root_mean_square


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_errs_no_more_than_the_reference(newest: Pair, dtype: torch.dtype) -> None:
    """The same rounded weights, run by both in `dtype` and by the reference in float64."""
    with torch.no_grad():
        exact = newest.reference("sdpa", dtype).double()(newest.ids, use_cache=False).logits
        theirs = newest.reference("sdpa", dtype)(newest.ids, use_cache=False).logits
        ours = composer.load(newest.folder, dtype=dtype)(newest.ids).logits

    ratio = root_mean_square(ours, exact) / root_mean_square(theirs, exact)
    assert ours.dtype == dtype
    prove.at_most(f"error in {str(dtype).removeprefix('torch.')} over the reference's", ratio, 1.1)
