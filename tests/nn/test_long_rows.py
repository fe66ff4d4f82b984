"""Rows that blocks work on in parts, to hold less at once: the numbers of one piece."""

from __future__ import annotations

import torch

from composer.nn.linears import folded

from .models import close, ids, model


def test_long_rows() -> None:
    """With gradients a block takes a row whole, without in parts; one row and several of uneven parts."""
    built = model()
    for rows, tokens in ((1, 1100), (3, 400)):
        whole = built(ids(rows, tokens)).logits.detach()
        with torch.no_grad():
            parts = built(ids(rows, tokens)).logits

        assert close(parts, whole)


def test_strides_of_a_whole() -> None:
    """Some tokens of one row come to a product with the strides that keep it from copying its weight."""
    x = torch.randn(1, 11, 4)

    for part in (x[:, 2:5], x[:, -1:], x.expand(3, 11, 4)[:, 1:3]):
        assert torch.equal(part, folded(part))
        assert torch.empty(part.shape).stride() == folded(part).stride()
