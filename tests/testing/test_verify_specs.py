"""Every shipped spec is built as it is counted; the small ones are right however they are computed."""

from __future__ import annotations

import pytest

import composer
from composer.shipped import shipped_specs
from composer.testing import verify

from .. import prove

POCKET = [name for name in shipped_specs() if name.startswith("pocket-")]


@pytest.mark.parametrize("name", shipped_specs())
def test_counted_is_built(name: str) -> None:
    """Names, shapes, order and number of all parameters, and the bytes of caches, without the memory for them."""
    found = verify(composer.read_spec(name), limit=1)
    rows = {row.check: row.verdict for row in found if row.verdict != "not checked"}

    assert {"parameters": "ok", "cache bytes": "ok"} == rows
    prove.counted("shipped specs, built otherwise than counted")


@pytest.mark.parametrize("name", POCKET)
def test_the_small_ones_are_right(name: str) -> None:
    """With drawn weights, up to the other library's logits; all of the length that verification chooses to prove it."""
    found = verify(composer.read_spec(name), tokens=None if prove.FULL else 24)
    worst = max(row.difference / row.allowed for row in found if row.allowed and row.difference is not None)

    assert ["weights complete"] == [row.check for row in found if row.verdict != "ok"]
    prove.at_most("verify of pocket specs, difference over the allowed", worst, 1.0, len(found.rows))
