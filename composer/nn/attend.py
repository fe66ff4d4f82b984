"""Attention over remembered keys, in one place: a slow obvious reference and the kernels held to it.

B batch, T queries, S keys, H query heads, G key heads (H a multiple of G), E width of a query and a key,
F width of a value.  Query head h reads key head h // (H / G).
A kernel has the signature of `reference`; which one runs is chosen at build or load, never by a spec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from composer.block import Causal
from composer.errors import CallError, did_you_mean, fail

from .slots import Keys
from .step import Step

if TYPE_CHECKING:
    from .layer import At

Sees = Callable[[Any, Any], Any]
BLOCK = 256
"""Queries handled at once where each sees only part of the keys: large enough to keep matmuls busy."""


class Kernel(Protocol):
    """One way to compute attention."""

    def __call__(self, q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, dropout: float) -> Tensor:
        """(B, H, T, F) from queries (B, H, T, E)."""


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    at: At,
    *,
    sees: Sees,
    scale: float,
    dropout: float = 0.0,
    softcap: float | None = None,
) -> Tensor:
    """Attention of q (B, H, T, E) over k (B, G, T, E) and v (B, G, T, F) of this call and whatever the slot remembers.

    Returns (B, T, H * F): H is a multiple of G, query head h uses key head h // (H / G), and a value may be of
    another width than a key.  `sees(query, key)` says which positions are visible; a `Causal` is fast.
    Dropout is applied to the weights, so pass 0 outside training.  With a `softcap` scores become
    softcap * tanh(score / softcap), which no fused kernel computes.
    """
    keys = at.keys(k, v)
    if at.step.recording:
        weights = attention_weights(q, keys, at.step, sees, scale, softcap)
        at.record("attentions", in_order(weights, keys, at.step))
        out = weigh(weights, keys, dropout)
    elif softcap is None:
        out = kernel(at.step.attention)(q, keys, at.step, sees, scale, dropout)
    elif at.step.slow:
        out = weigh(attention_weights(q, keys, at.step, sees, scale, softcap), keys, dropout)
    else:
        out = capped(q, keys, at.step, sees, scale, softcap, dropout)
    return out.transpose(1, 2).flatten(2)


def visible(step: Step, keys: Keys, sees: Sees) -> Tensor:
    """(B or 1, 1, T, S) bool: which keys each query may use; what no query could use is not real."""
    query, key = step.indices[:, :, None], keys.positions(step)[:, None, :]
    seen = sees(query, key) & (key >= 0)
    if step.segments is not None:
        seen = seen & (step.segments[:, :, None] == step.segments[:, None, :])
    if step.valid is not None:  # a pad sees everything rather than nothing, so that no softmax is empty
        seen = seen | ~step.valid[:, :, None]
    return seen[:, None]


def attention_weights(
    q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, softcap: float | None = None
) -> Tensor:
    """(B, H, T, S) softmax weights, in float32 and then in the dtype of q."""
    k = keys.values[0].repeat_interleave(q.shape[1] // keys.values[0].shape[1], dim=1)
    scores = (q @ k.transpose(2, 3)) * scale
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.masked_fill(~visible(step, keys, sees), torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1, dtype=torch.float32).to(q.dtype)


def in_order(weights: Tensor, keys: Keys, step: Step) -> Tensor:
    """(B, H, T, S) with the columns of a ring that has turned in the order of positions, as all others are."""
    if keys.ordered or keys.where[0] not in ("ring", "joined"):
        return weights
    order = keys.positions(step).argsort(dim=1, stable=True)
    return weights.gather(3, order[:, None, None, :].expand_as(weights))


def weigh(weights: Tensor, keys: Keys, dropout: float) -> Tensor:
    """(B, H, T, F): values averaged by weights."""
    v = keys.values[1].repeat_interleave(weights.shape[1] // keys.values[1].shape[1], dim=1)
    return F.dropout(weights, dropout) @ v


def reference(q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, dropout: float) -> Tensor:
    """Slow and obvious: every score, every weight."""
    return weigh(attention_weights(q, keys, step, sees, scale), keys, dropout)


def capped(
    q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, softcap: float, dropout: float
) -> Tensor:
    """Attention under a soft cap, `BLOCK` queries at a time; the heads of a group read its keys together."""
    k, v = (t.unsqueeze(2) for t in keys.values)  # (B, G, 1, S, E)
    mask = mask_of(step, keys, sees).unsqueeze(2)  # (B or 1, 1, 1, T, S)
    outs = []
    for queries, seen in zip(
        q.unflatten(1, (k.shape[1], -1)).split(BLOCK, 3),
        mask.expand(*mask.shape[:3], step.width, -1).split(BLOCK, 3),
        strict=True,
    ):
        scores = torch.tanh((queries @ k.transpose(3, 4)) * scale / softcap) * softcap
        scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(q.dtype)
        outs.append(F.dropout(weights, dropout) @ v)
    return torch.cat(outs, 3).flatten(1, 2)


def sdpa(q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, dropout: float) -> Tensor:
    """torch's scaled_dot_product_attention, never asked for keys that a window hides."""
    k, v = keys.values
    if step.width == 1:
        return one_query(q, keys, step, sees, scale, dropout)
    start, oldest = step.start, keys.oldest
    if (
        not isinstance(sees, Causal)
        or not keys.ordered
        or start is None
        or oldest is None
        or step.segments is not None
    ):
        return fused(q, k, v, scale, dropout, mask_of(step, keys, sees))
    if oldest == start and (sees.window is None or step.width <= sees.window):
        return F.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=True
        )
    outs = []
    for first in range(start, start + step.width, BLOCK):
        queries = q[:, :, first - start : first - start + BLOCK]
        outs.append(block(queries, keys, step, first, oldest, sees, scale, dropout))
    return torch.cat(outs, dim=2)


def mask_of(step: Step, keys: Keys, sees: Sees) -> Tensor:
    """`visible`, made once for all layers that look at the same positions in the same way."""
    return step.once(("mask", sees, keys.where), lambda: visible(step, keys, sees))


def block(
    q: Tensor, keys: Keys, step: Step, first: int, oldest: int, sees: Causal, scale: float, dropout: float
) -> Tensor:
    """Queries at positions `first`... against the stretch of ordered keys that any of them sees."""
    end = first + q.shape[2]
    low = max(oldest, 0 if sees.window is None else first - sees.window + 1)
    k, v = (t[:, :, low - oldest : end - oldest] for t in keys.values)

    def mask() -> Tensor:
        query = torch.arange(first - low, end - low, device=q.device)[:, None]
        seen: Tensor = sees(query, torch.arange(end - low, device=q.device))
        return seen

    return fused(q, k, v, scale, dropout, step.once(("block", sees, first - low, end - low), mask))


def one_query(q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, dropout: float) -> Tensor:
    """A single query a row: the heads of a group become its query rows, so each key is read once."""
    k, v = keys.values
    window = sees.window if isinstance(sees, Causal) else None
    mask = None
    if not isinstance(sees, Causal) or keys.oldest is None or step.segments is not None:
        mask = mask_of(step, keys, sees)
    elif window is not None and k.shape[2] > window:
        if keys.ordered:
            k, v = k[:, :, -window:], v[:, :, -window:]
        else:
            mask = mask_of(step, keys, sees)
    grouped = q.reshape(q.shape[0], k.shape[1], -1, q.shape[-1])  # (B, G, H / G, E)
    return fused(grouped, k, v, scale, dropout, mask).reshape(*q.shape[:3], v.shape[3])


def fused(q: Tensor, k: Tensor, v: Tensor, scale: float, dropout: float, mask: Tensor | None) -> Tensor:
    """The library's kernel under an explicit mask."""
    gqa = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale, enable_gqa=gqa
    )


KERNELS: dict[str, Kernel] = {"sdpa": sdpa, "reference": reference}
"""Every kernel by name; another one is an entry more."""


def kernel(name: str) -> Kernel:
    """The kernel registered under `name`."""
    if name not in KERNELS:
        fail(
            CallError,
            "E701",
            f"no attention kernel is called {name!r}",
            hint=did_you_mean(name, KERNELS) or f"one of: {', '.join(KERNELS)}",
        )
    return KERNELS[name]
