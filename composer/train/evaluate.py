"""Bits that a model needs for each byte of text that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .tokens import Ids, Tokens

AT_ONCE = 2048
"""Tokens in one call: the logits of all of them are held at once."""


@torch.inference_mode()
def bits_per_byte(model: nn.Module, tokens: Tokens, context: int) -> float:
    """-log2 P of every token but each document's first, over the bytes of the text.

    Windows of `context` tokens advance by half of it, so that every token is scored once and has at
    least half a window before it where the document has that much.
    """
    windows = (window for document in tokens.documents() for window in _windows(document, context))
    device = next(model.parameters()).device
    nats, training, batch_size = 0.0, model.training, max(1, AT_ONCE // context)
    model.eval()
    while batch := list(islice(windows, batch_size)):
        nats += _nats(model, batch, device)
    model.train(training)
    return nats / math.log(2) / max(1, tokens.byte_count)


def _windows(document: Ids, context: int) -> Iterator[tuple[Ids, int]]:
    """(ids, first scored position) of each window; together they score positions 1 to the end once."""
    stride = max(1, context // 2)
    done, start = 1, 0
    while done < len(document):
        window = document[start : start + context]
        yield window, done - start
        done = start + len(window)
        start += stride


def _nats(model: Any, batch: list[tuple[Ids, int]], device: torch.device) -> float:
    """-log P of the scored positions of some windows, right-padded to one length."""
    length = max(len(window) for window, _ in batch)
    rows = np.zeros((len(batch), length), np.int64)
    wanted = np.zeros((len(batch), length), bool)
    for row, (window, first) in enumerate(batch):
        rows[row, : len(window)] = window
        wanted[row, first : len(window)] = True
    ids = torch.from_numpy(rows).to(device)
    scored: Tensor = torch.from_numpy(wanted[:, 1:]).to(device)
    # Padding stands on the right, where a causal model's scored positions cannot see it.
    logits = model(ids).logits[:, :-1][scored].float()
    return float(nn.functional.cross_entropy(logits, ids[:, 1:][scored], reduction="sum").double())
