"""The block keeps the contract of the host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

import composer
from composer import Block, Site
from composer.testing import parametrize_with_checks
from moe_mlp.options import MoEMLP


@parametrize_with_checks(
    [
        *MoEMLP.samples(),
        MoEMLP(num_experts=1, num_experts_per_tok=1, intermediate_size=4),
        MoEMLP(num_experts=24, num_experts_per_tok=1, intermediate_size=2),
        (MoEMLP(num_experts=4, num_experts_per_tok=3, intermediate_size=5), Site(reads=9, writes=5)),
    ]
)
def test_it_keeps_the_contract(block: Block, check: Callable[[Block], None]) -> None:
    """Every check of the kit, on every sample."""
    check(block)


def test_more_experts_for_a_token_than_there_are_is_refused() -> None:
    """The sentence has both numbers."""
    with pytest.raises(
        ValidationError, match=r"num_experts_per_tok \(3\) must not be above num_experts \(2\)"
    ):
        MoEMLP(num_experts=2, num_experts_per_tok=3, intermediate_size=4)


def test_it_is_offered() -> None:
    """A spec finds the kind by its name."""
    assert composer.catalog()["moe-mlp"] is MoEMLP
