"""Half precision: our error against a float64 run is no larger than the reference's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig

import composer

from .. import prove
from .cases import FAMILIES, case, reference_class
from .pair import Pair

COUNT = prove.cases(4, 40)


def error(found: Tensor, exact: Tensor) -> float:
    """The typical difference, in units of the typical value."""
    return float((found.double() - exact).square().mean().sqrt() / exact.square().mean().sqrt())


def ratio(pair: Pair, dtype: torch.dtype) -> float:
    """Our error over the reference's; what is exact is our model with the same rounded weights in float64."""
    kind, config = reference_class(pair.case.family, "causal-lm"), AutoConfig.from_pretrained(pair.folder)
    theirs = kind.from_pretrained(pair.folder, config=config, dtype=dtype)(pair.ids, use_cache=False).logits
    ours = composer.load(pair.folder, dtype=dtype)
    found = ours(pair.ids).logits
    assert found.dtype == dtype  # the reference returns some families' logits in float32
    exact = ours.double()(pair.ids).logits
    return error(found, exact) / error(theirs, exact)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision(family: str, dtype: torch.dtype, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The mean over the cases of a family; a single small case may fall either way by chance."""
    found = [
        ratio(Pair(case(family, 200 + number), tmp_path_factory.mktemp("case")), dtype)
        for number in range(COUNT)
    ]
    mean = math.exp(sum(map(math.log, found)) / COUNT)
    name = str(dtype).removeprefix("torch.")
    prove.at_most(f"{family}: error in {name} over the reference's, mean", mean, 1.1, COUNT)
