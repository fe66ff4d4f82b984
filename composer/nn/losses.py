"""Losses of heads, in float32; -100 marks a label that does not count.

B batch, T tokens, V vocabulary, N classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from composer.plan import ProblemType


def causal_loss(logits: Tensor, labels: Tensor, counted: int | Tensor | None = None) -> Tensor:
    """Mean cross entropy in nats of each next token, or its sum divided by `counted`."""
    predicted = logits[:, :-1].float().flatten(0, 1)
    wanted = labels[:, 1:].flatten().to(logits.device, torch.int64)
    if counted is None:
        return F.cross_entropy(predicted, wanted)
    total = F.cross_entropy(predicted, wanted, reduction="sum")
    return total / (counted.to(total.device) if isinstance(counted, Tensor) else counted)


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy in nats of each token's class: logits (B, T, N), labels (B, T)."""
    wanted = labels.flatten().to(logits.device, torch.int64)
    return F.cross_entropy(logits.float().flatten(0, 1), wanted)


def span_loss(start_logits: Tensor, end_logits: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Mean of the cross entropies of both ends: logits (B, T), positions (B,).

    A negative position is 0, one past the last column does not count; with none left the loss is no number.
    """
    return (_end_loss(start_logits, starts) + _end_loss(end_logits, ends)) / 2


def _end_loss(logits: Tensor, positions: Tensor) -> Tensor:
    width = logits.shape[1]
    wanted = positions.to(logits.device, torch.int64).clamp(0, width)
    return F.cross_entropy(logits.float(), wanted, ignore_index=width)


def problem_of(labels: Tensor, classes: int) -> ProblemType:
    """What the loss of a classification is when nobody has said: by the number of classes and the labels' type."""
    if classes == 1:
        return "regression"
    whole = labels.dtype in (torch.int32, torch.int64)
    return "single_label_classification" if whole else "multi_label_classification"


def sequence_loss(logits: Tensor, labels: Tensor, problem: ProblemType) -> Tensor:
    """Loss of a row's classes, logits (B, N).

    Regression: mean squared error, labels as many as logits.  One label: cross entropy, labels (B,).  Several:
    binary cross entropy of each class, labels (B, N).
    """
    labels, scores = labels.to(logits.device), logits.float()
    if problem == "single_label_classification":
        return F.cross_entropy(scores, labels.view(-1).to(torch.int64))
    wanted = labels.view(scores.shape).float()
    if problem == "regression":
        return F.mse_loss(scores, wanted)
    return F.binary_cross_entropy_with_logits(scores, wanted)
