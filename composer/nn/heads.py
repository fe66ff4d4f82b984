"""Heads: what turns the stream into answers.

B batch, T tokens as the caller sees them, E width the head reads, V vocabulary, N classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.plan import HeadKind, Plan

from .functional import linear
from .linears import Packable, folded
from .packed import pack
from .rows import Call, spread


@dataclass
class Scores:
    """What a head says: (B, kept, V), (B, N) or (B, T, N) logits, or (B, T) each for both ends of a span."""

    logits: Tensor | None = None
    start_logits: Tensor | None = None
    end_logits: Tensor | None = None


class Head(Packable):
    """Logits over the vocabulary, with a matrix of its own or the token table's."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        vocab, width = plan.sizes.vocab_size, plan.sizes.embedding_size
        self.softcap = plan.head.softcap
        self.weight = None if plan.head.tied else nn.Parameter(torch.empty(vocab, width))
        self.bias = nn.Parameter(torch.empty(vocab)) if plan.head.bias else None

    def forward(self, stream: Tensor, table: Tensor) -> Tensor:
        stream = folded(stream)
        product = self.product((self.matrix(table), self.bias))
        logits = linear(stream, self.matrix(table), self.bias) if product is None else product(stream)
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap

    def matrix(self, table: Tensor) -> Tensor:
        """(V, E)."""
        return table if self.weight is None else self.weight

    def prepare(self, table: Tensor) -> None:
        """Pack the matrix as it is now."""
        bias = None if self.bias is None else self.bias.detach()
        self.hold(pack(self.matrix(table).detach(), bias), (self.matrix(table), self.bias))


class TaskHead(nn.Module):
    """A linear map from the stream to the scores of a task."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        rows = plan.head.width(plan.sizes.vocab_size)
        self.weight = nn.Parameter(torch.empty(rows, plan.sizes.embedding_size))
        self.bias = nn.Parameter(torch.empty(rows)) if plan.head.bias else None
        self.dropout = plan.head.dropout or 0.0

    def forward(self, stream: Tensor) -> Tensor:
        """(..., E) to (..., rows)."""
        if self.dropout:
            stream = F.dropout(stream, self.dropout, self.training)
        return F.linear(stream, self.weight, self.bias)


def head_of(plan: Plan) -> Head | TaskHead | None:
    """The head of a plan, without numbers; None for a base model."""
    if plan.head.kind == "base":
        return None
    return Head(plan) if plan.head.kind == "causal-lm" else TaskHead(plan)


def scores_of(kind: HeadKind, head: nn.Module, stream: Tensor, call: Call, table: Tensor) -> Scores:
    """What a head of this kind says of the last states (B, T, E), in the order of the call; table (V, E)."""
    if kind == "causal-lm":
        return Scores(logits=head(call.keep(stream), table))
    stream = call.restore(stream)
    if call.pooled is not None:
        return Scores(logits=head(spread(stream, call.pooled[:, None])[:, 0]))
    scores = head(stream)
    return span_of(scores, call) if kind == "question-answering" else Scores(logits=scores)


def span_of(scores: Tensor, call: Call) -> Scores:
    """Both ends from (B, T, 2); padding gets the lowest score there is, so that no answer begins or ends in it."""
    real = call.real(scores.device)
    if real is not None:
        scores = scores.masked_fill(~real[..., None], torch.finfo(scores.dtype).min)
    start, end = scores.unbind(-1)
    return Scores(start_logits=start.contiguous(), end_logits=end.contiguous())
