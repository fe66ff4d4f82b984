"""Rows that blocks work on in parts, to hold less at once: the numbers of one piece."""

from __future__ import annotations

import torch

from .models import close, ids, model


def test_long_rows() -> None:
    """With gradients a block takes a row whole, without in parts; one row and several of uneven parts."""
    built = model()
    for rows, tokens in ((1, 1100), (3, 400)):
        whole = built(ids(rows, tokens)).logits.detach()
        with torch.no_grad():
            parts = built(ids(rows, tokens)).logits

        assert close(parts, whole)
