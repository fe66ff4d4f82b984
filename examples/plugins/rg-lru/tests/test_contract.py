"""The block keeps its promises: every check of the kit, on every sample."""

from __future__ import annotations

from collections.abc import Callable

from composer.testing import parametrize_with_checks
from rg_lru import RGLRU


@parametrize_with_checks(RGLRU)
def test_contract(check: Callable[[], None]) -> None:
    """Each pair of a sample and a check is a test of its own."""
    check()
