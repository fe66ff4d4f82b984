"""The tolerance is tight enough: every wrong setting exceeds it, in every case where it means anything."""

from __future__ import annotations

import pytest
import torch

from .. import prove
from .oracle import Pair, relative
from .wrong import WRONG, Wrong


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_setting_is_seen(pair: Pair, wrong: Wrong) -> None:
    """The tolerance as a share of the distance that the wrong setting makes."""
    if not wrong.applies(pair.case, pair.ours):
        return
    with torch.no_grad():
        logits = wrong.model(pair.ours, pair.case)(pair.ids).logits

    prove.at_most(f"wrong on purpose: {wrong}", pair.tolerance / relative(logits, pair.expected), 1)


def test_wrong_positions_are_seen(pair: Pair) -> None:
    """The second half of the prompt one position too far on."""
    half = pair.case.prompt // 2
    positions = torch.arange(pair.case.prompt)[None].expand_as(pair.ids).clone()
    positions[:, half:] += 1
    if pair.case.config["sliding_window"] == 1:
        return
    with torch.no_grad():
        logits = pair.ours(pair.ids, position_ids=positions).logits

    prove.at_most("wrong on purpose: positions", pair.tolerance / relative(logits, pair.expected), 1)
