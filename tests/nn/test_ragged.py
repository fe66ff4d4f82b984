"""Rows of very different lengths: run in parts, with the numbers of one batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from composer.nn import ragged

from .models import close, ids, model


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([5, 5, 5], [range(3)]),
        ([100, 1], [range(1), range(1, 2)]),
        ([100, 90, 3, 2, 100], [range(2), range(2, 4), range(4, 5)]),
        ([0, 200, 0, 0], [range(1, 2)]),
        ([1, 0, 0, 3], [range(4)]),
        ([40, 41, 42, 43], [range(4)]),
    ],
)
def test_parts(counts: list[int], found: list[range]) -> None:
    """Neighbours of like lengths stay together; a few pads are cheaper than another part."""
    assert found == ragged.parts(counts, "cpu")


def batch() -> tuple[Tensor, Tensor, list[int]]:
    """Rows of 60, 3, 0, 58 and 9 tokens, padded on the left."""
    counts = [60, 3, 0, 58, 9]
    mask = torch.zeros(5, 60, dtype=torch.int64)
    for row, count in enumerate(counts):
        mask[row, 60 - count :] = 1
    return ids(5, 60), mask, counts


@pytest.mark.parametrize("windows", [(None, 7), (3, 70)])
@torch.no_grad()
def test_equal_to_rows_alone(windows: tuple[int | None, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits of each row, and of a token after it, as if it were alone; and the work is that of the tokens."""
    built = model(windows)
    tokens, mask, counts = batch()
    seen: list[int] = []
    built.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0][..., 0].numel()))
    cache = built.new_cache(5)
    out = built(tokens, attention_mask=mask, past_key_values=cache).logits
    work = sum(seen)
    more = built(tokens[:, :1], past_key_values=cache).logits

    assert work < sum(counts) + 30
    assert counts == [length - 1 for length in cache.lengths]
    for row, count in enumerate(counts):
        alone = torch.cat([tokens[row, 60 - count :], tokens[row, :1]])[None]
        expected = built(alone).logits[0]
        assert close(torch.cat([out[row, 60 - count :], more[row]]), expected)


def test_gradients() -> None:
    """The same as when the call is not run in parts."""
    built = model((None, 7))
    tokens, mask, _ = batch()
    labels = torch.where(mask == 1, tokens, -100)
    built(tokens, attention_mask=mask, labels=labels).loss.backward()
    first = {name: value.grad.clone() for name, value in built.named_parameters()}
    built.zero_grad()
    built(tokens, attention_mask=mask, labels=labels, output_hidden_states=True).loss.backward()

    assert all(close(first[name], value.grad, 1e-4) for name, value in built.named_parameters())
