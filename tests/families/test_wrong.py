"""The tolerance is tight enough: every wrong setting exceeds it, in every case where it means anything."""

from __future__ import annotations

import pytest
import torch

from .. import prove
from .pair import Pair, relative
from .wrong import WRONG, Wrong


@torch.no_grad()
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_setting_is_seen(pair: Pair, wrong: Wrong) -> None:
    """The tolerance as a share of the distance that the wrong setting makes."""
    model = wrong.model(pair)
    if model is None:
        return
    distance = relative(model(pair.ids).logits, pair.expected)

    prove.at_most(f"{pair.case.family}: wrong on purpose: {wrong}", pair.tolerance / max(distance, 1e-30), 1)


def test_enough_wrong_settings(pair: Pair) -> None:
    """In every case, however small, most of a dozen mean something."""
    assert 10 <= sum(wrong.model(pair) is not None for wrong in WRONG)
