"""How fresh models are drawn: every tensor as transformers draws it, which the families say as data."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

import composer
from composer.layout.importing import import_config

from .. import prove
from ..published import FAMILIES, drawn, theirs, written

LIMIT = 2.4
"""Two samples of one distribution are farther apart than this, over the root of half their size, once in 100,000."""


def fresh(config: dict[str, Any], folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The numbers that our build and transformers' draw for each kind of tensor, all layers together."""
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM
    auto.from_config(theirs(config)).save_pretrained(folder)
    ours = composer.build(composer.resolve(import_config(written(config), "mine")), seed=1)
    return pooled(ours), pooled(composer.load(folder))


def pooled(model: nn.Module) -> dict[str, Tensor]:
    """All numbers of the parameters whose names differ only by numbers."""
    found: dict[str, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        found.setdefault(re.sub(r"\d+", "i", name), []).append(parameter.detach().flatten())
    return {name: torch.cat(tensors) for name, tensors in found.items()}


def apart(one: Tensor, other: Tensor) -> float:
    """The largest distance of the two distribution functions, in units of what chance gives."""
    every = torch.cat([one, other]).unique()
    steps = [torch.searchsorted(each.sort().values, every, right=True) / len(each) for each in (one, other)]
    return float((steps[0] - steps[1]).abs().max()) * math.sqrt(len(one) / 2)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", range(prove.cases(2, 20)))
def test_every_tensor_is_drawn_as_in_transformers(name: str, seed: int, tmp_path: Path) -> None:
    """One distribution, by the test of Kolmogorov and Smirnov, wherever that can tell two apart."""
    ours, other = fresh(drawn(name, seed), tmp_path)

    assert [*ours] == [*other]
    assert {} == {key: far for key in ours if (far := apart(ours[key], other[key])) > LIMIT}
