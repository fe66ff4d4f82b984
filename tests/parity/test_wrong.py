"""The tolerance is tight enough: every wrong setting exceeds it, in every case where it means anything."""

from __future__ import annotations

import pytest
import torch

from .. import prove
from .oracle import Pair, relative
from .wrong import WRONG, Wrong


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_setting_is_seen(newest: Pair, wrong: Wrong) -> None:
    """The tolerance as a share of the distance that the wrong setting makes."""
    if not wrong.applies(newest.case, newest.ours):
        return
    with torch.no_grad():
        logits = wrong.model(newest.ours, newest.case)(newest.ids).logits

    prove.at_most(f"wrong on purpose: {wrong}", newest.tolerance / relative(logits, newest.expected), 1)


def test_wrong_positions_are_seen(newest: Pair) -> None:
    """The second half of the prompt one position too far on."""
    half = newest.case.prompt // 2
    positions = torch.arange(newest.case.prompt)[None].expand_as(newest.ids).clone()
    positions[:, half:] += 1
    if newest.case.config["sliding_window"] == 1:
        return
    with torch.no_grad():
        logits = newest.ours(newest.ids, position_ids=positions).logits

    prove.at_most("wrong on purpose: positions", newest.tolerance / relative(logits, newest.expected), 1)
