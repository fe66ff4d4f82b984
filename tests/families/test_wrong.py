"""The tolerance is tight enough: wrong settings exceed it, in every case where they mean anything."""

from __future__ import annotations

import random

import torch

from .. import prove
from .pair import Pair, relative
from .wrong import WRONG

DOZEN = 12


@torch.no_grad()
def test_wrong_settings_are_seen(pair: Pair) -> None:
    """The tolerance as a share of the distance that each of a dozen makes, drawn of those that mean something."""
    meant = [wrong for wrong in WRONG if wrong.changed(pair) is not None]
    assert 10 <= len(meant)
    drawn = random.Random(pair.case.number).sample(meant, min(DOZEN, len(meant)))
    for wrong in drawn if prove.FULL else meant:
        distance = relative(wrong.model(pair)(pair.ids).logits, pair.expected)
        claim = f"{pair.case.family}: wrong on purpose: {wrong}"
        prove.at_most(claim, pair.tolerance / max(distance, 1e-30), 1)
