"""The state space of a selective scan, many tokens at a time, as plain torch functions.

For every head: S_t = exp(dt_t A) S_{t-1} + dt_t x_t B_t^T and y_t = S_t C_t + D x_t.  Within a chunk this is a
causal, decaying attention; between chunks only the state is handed on.

b rows, t tokens, h heads of width p, g groups of heads with states of size n; c chunks of l tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = -80.0
"""Logarithms of decay stop here: what is left is nothing beside what is new, and less would be slow to compute."""


def scan(
    x: Tensor,  # (b, t, h, p)
    dt: Tensor,  # (b, t, h), 0 where a token leaves no trace
    A: Tensor,  # (h,), negative
    B: Tensor,  # (b, t, g, n)
    C: Tensor,  # (b, t, g, n)
    D: Tensor,  # (h,)
    state: Tensor,  # (b, h, p, n)
    segments: Tensor | None = None,  # (b, 1 + t): which packed sequence the state and each token belong to
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """What every token reads, (b, t, h, p), and the state after the last; all in float32 or better.

    A single token without gradients is written into `state` itself.
    """
    tokens = x.shape[1]
    if tokens == 1 and segments is None:
        return step(x, dt, A, B, C, D, state)
    count = -(-tokens // chunk)
    length = -(-tokens // count)
    x, B, C, dt = (chunked(part, count, length) for part in (x, B, C, dt))  # (b, c, h or g, l, ...)
    logs = (dt * A[:, None]).cumsum(-1, dtype=torch.float64)  # (b, c, h, l)
    decay = decays(logs, x.dtype)
    from_start, to_end = left(logs.to(x.dtype)), decay[..., -1, :] * dt
    visible = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
    if segments is not None:
        own, before = numbers(segments, count, length)
        from_start, to_end = from_start * (own == before), to_end * (own == own[..., -1:])
        visible = visible & (own[..., :, None] == own[..., None, :])
    inner = mixing(decay, (C @ B.mT) * visible, dt, D)
    entering, state = states(by_head(B, to_end), x, from_start[..., -1], state)
    y = inner.flatten(0, 2).bmm(x.flatten(0, 2))
    y = y.baddbmm_(by_head(C, from_start).flatten(0, 2), entering.flatten(0, 2).mT)
    return y.view(x.shape).transpose(2, 3).flatten(1, 2)[:, :tokens], state


def step(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The same for one token: the recurrence itself."""
    rows, _, heads, width = x.shape
    groups, size = B.shape[2:]
    x, dt = x.view(rows, heads, width), dt.view(rows, heads, 1)
    state = times(state, (dt * A[:, None]).exp()[..., None])
    stacked = state.view(rows * groups, heads // groups * width, size)
    stacked.baddbmm_((x * dt).view(*stacked.shape[:2], 1), B.reshape(-1, 1, size))
    y = stacked.bmm(C.reshape(-1, size, 1)).view(x.shape)
    return torch.addcmul(y, x, D[:, None])[:, None], state


def times(a: Tensor, b: Tensor) -> Tensor:
    """`a * b`, in the memory of `a` where no gradient is wanted."""
    return a * b if torch.is_grad_enabled() else a.mul_(b)


def chunked(part: Tensor, count: int, length: int) -> Tensor:
    """(b, t, h, ...) to (b, c, h, l, ...); missing tokens are zeros."""
    missing = count * length - part.shape[1]
    if missing:
        part = F.pad(part, (0, 0) * (part.ndim - 2) + (0, missing))
    return part.unflatten(1, (count, length)).transpose(2, 3).contiguous()


def numbers(segments: Tensor, count: int, length: int) -> tuple[Tensor, Tensor]:
    """The sequence of each token, (b, c, 1, l), and of the state that enters its chunk, (b, c, 1, 1)."""
    missing = count * length + 1 - segments.shape[1]
    segments = torch.cat([segments, segments[:, -1:].expand(-1, missing)], 1)
    own, before = (
        part.unflatten(1, (count, length))[:, :, None] for part in (segments[:, 1:], segments[:, :-1])
    )
    return own, before[..., :1]


def left(logs: Tensor) -> Tensor:
    """What is left after a logarithm of decay, in the memory of `logs`."""
    return logs.clamp_(LEAST, 0).exp_()


def decays(logs: Tensor, dtype: torch.dtype) -> Tensor:
    """(b, c, h, l, l): how much of what token j wrote is left at token i; 1 where j is the later one.

    A long sum of logarithms has no digits left for the small differences between neighbours, so what
    rounding takes from the sums is added to the differences.  Where gradients are wanted they are taken of the
    long sums themselves: of what flows into both ends of a difference most cancels.
    """
    if torch.is_grad_enabled():
        sums = (logs[..., :, None] - logs[..., None, :]).to(dtype)
    else:
        high = logs.to(dtype)
        low = (logs - high).to(dtype)
        sums = high[..., :, None] - high[..., None, :]
        sums = sums.add_(low[..., :, None]).sub_(low[..., None, :])
    # A token loses nothing of itself: without this its gradient would be added and taken away again, and rounding
    # would leave a trace beside the small ones of what decays fast.
    diagonal(sums).zero_()
    return left(sums)


def mixing(decay: Tensor, similar: Tensor, dt: Tensor, D: Tensor) -> Tensor:
    """(b, c, h, l, l): what token i takes of the x of token j; `similar` is C B^T of each group, 0 if not seen."""
    groups = similar.shape[2]
    grouped = times(decay.unflatten(2, (groups, -1)), similar[:, :, :, None]).flatten(2, 3)
    inner = times(grouped, dt[..., None, :])
    diagonal(inner).add_(D[:, None])
    return inner


def diagonal(square: Tensor) -> Tensor:
    """(..., l) of (..., l, l), in its memory; compilers take it better than torch's own."""
    return square.view(*square.shape[:-2], -1)[..., :: square.shape[-1] + 1]


def by_head(part: Tensor, weight: Tensor) -> Tensor:
    """(b, c, g, l, n) of the groups to (b, c, h, l, n), weighted by (b, c, h, l)."""
    groups = part.shape[2]
    return (part[:, :, :, None] * weight.unflatten(2, (groups, -1))[..., None]).flatten(2, 3)


def states(B: Tensor, x: Tensor, kept: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """The state that enters each chunk, (b, c, h, p, n), and the one that leaves the last."""
    written = x.flatten(0, 2).mT.bmm(B.flatten(0, 2)).view(*x.shape[:3], x.shape[4], B.shape[4])
    entering = []
    for own, share in zip(written.unbind(1), kept.unbind(1), strict=True):
        entering.append(state)
        state = torch.addcmul(own, state, share[..., None, None])
    return torch.stack(entering, 1), state
