"""The block keeps the contract of the host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

import composer
from composer import Block, Site
from composer.testing import parametrize_with_checks
from short_conv.options import ShortConv


@parametrize_with_checks(
    [*ShortConv.samples(), (ShortConv(kernel_size=16, bias=True), Site(reads=9, writes=5))]
)
def test_it_keeps_the_contract(block: Block, check: Callable[[Block], None]) -> None:
    """Every check of the kit, on every sample."""
    check(block)


def test_a_kernel_of_one_token_is_refused() -> None:
    """It would be no convolution, and a state of no tokens."""
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        ShortConv(kernel_size=1)


def test_it_is_offered() -> None:
    """A spec finds the kind by its name."""
    assert composer.catalog()["short-conv"] is ShortConv
