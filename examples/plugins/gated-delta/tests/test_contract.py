"""The block keeps its promises: every check of the kit, on every sample."""

from __future__ import annotations

from collections.abc import Callable

from composer.testing import parametrize_with_checks
from gated_delta import GatedDelta


@parametrize_with_checks(GatedDelta)
def test_contract(check: Callable[[], None]) -> None:
    """Each pair of a sample and a check is a test of its own."""
    check()
