"""The gated delta rule as plain torch functions: token after token, and many tokens at a time.

For every head, with memory S (keys x values), what is left of it exp(g), and rate b:

    S <- exp(g) S;   S <- S + b k (v - S^T k)^T;   y = S^T q

b rows, t tokens, h heads of values of width m, g heads of queries and keys of width n; c chunks of l tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


def unit(x: Tensor, eps: float = 1e-6) -> Tensor:
    """x over its length, along the last dimension; `eps` is added to the square of the length."""
    return x * (x.square().sum(-1, keepdim=True) + eps).rsqrt()


def recur(
    q: Tensor,  # (b, t, g, n)
    k: Tensor,  # (b, t, g, n)
    v: Tensor,  # (b, t, h, m)
    log_decay: Tensor,  # (b, t, h), 0 where a token leaves no trace
    rate: Tensor,  # (b, t, h), 0 where a token leaves no trace
    memory: Tensor,  # (b, h, n, m)
    segments: Tensor | None = None,  # (b, t): which packed sequence a token belongs to
) -> tuple[Tensor, Tensor]:
    """What every token reads, (b, t, h, m), and the memory after the last: the rule as it is written above."""
    shared = v.shape[2] // k.shape[2]
    q, k = q.repeat_interleave(shared, 2), k.repeat_interleave(shared, 2)
    read = []
    for t in range(q.shape[1]):
        if segments is not None and t:
            memory = memory * (segments[:, t] == segments[:, t - 1])[:, None, None, None]
        memory = memory * log_decay[:, t].exp()[..., None, None]
        recalled = k[:, t, :, None] @ memory  # (b, h, 1, m)
        correction = (v[:, t, :, None] - recalled) * rate[:, t, :, None, None]
        memory = memory + k[:, t, ..., None] @ correction
        read.append((q[:, t, :, None] @ memory)[:, :, 0])
    return torch.stack(read, 1), memory


def scan(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    rate: Tensor,
    memory: Tensor,
    segments: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The same, chunk after chunk; a single token without gradients is written into `memory` itself.

    What the tokens of a chunk write depends on what those before them wrote: one triangular system a chunk, solved
    for all chunks at once up to what the memory that enters adds.
    """
    tokens = q.shape[1]
    if tokens == 1 and segments is None:
        return step(q, k, v, log_decay, rate, memory)
    count = -(-tokens // CHUNK)
    length = -(-tokens // count)
    q, k, v, log_decay, rate = (chunked(part, count, length) for part in (q, k, v, log_decay, rate))
    logs = log_decay.cumsum(-1, dtype=torch.float64)  # (c, b, h, l)
    decay = (logs[..., :, None] - logs[..., None, :]).to(q.dtype).clamp_max(0).exp().tril()
    from_start, to_end = logs.to(q.dtype).exp(), decay[..., -1, :]
    if segments is not None:
        own, before = numbers(segments, count, length)
        from_start, to_end = from_start * (own == before), to_end * (own == own[..., -1:])
        decay = decay * (own[..., :, None] == own[..., None, :])
    entered, alone = solved(k, v, decay, from_start, rate)
    keys, kept = by_head(k, to_end).mT, from_start[..., -1:, None]
    entering, written = [], []
    for chunk in range(count):
        entering.append(memory)
        written.append(alone[chunk] - entered[chunk] @ memory)
        memory = memory * kept[chunk] + keys[chunk] @ written[chunk]
    y = by_head(q, from_start) @ torch.stack(entering) + weighted(q @ k.mT, decay) @ torch.stack(written)
    return y.permute(1, 0, 3, 2, 4).flatten(1, 2)[:, :tokens], memory


def step(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, rate: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """The same for one token; the memory is read once, for its key and its query together."""
    rows, _, heads, width = v.shape
    shared = heads // k.shape[2]
    left = log_decay[:, 0, :, None, None].exp()
    k, q = (part[:, 0, :, None].repeat_interleave(shared, 1) for part in (k, q))  # (b, h, 1, n)
    recalled, read = (torch.cat([k, q], 2) @ memory * left).unbind(2)
    correction = (v[:, 0] - recalled) * rate[:, 0, :, None]
    memory = memory * left if torch.is_grad_enabled() else memory.mul_(left)
    flat = memory.view(rows * heads, -1, width)
    new = torch.baddbmm if torch.is_grad_enabled() else Tensor.baddbmm_
    memory = new(flat, k.mT.flatten(0, 1), correction.view(-1, 1, width)).view(memory.shape)
    y = torch.addcmul(read, (q * k).sum(-1), correction)
    return y[:, None], memory


def chunked(part: Tensor, count: int, length: int) -> Tensor:
    """(b, t, h, ...) to (c, b, h, l, ...); missing tokens are zeros."""
    missing = count * length - part.shape[1]
    if missing:
        part = F.pad(part, (0, 0) * (part.ndim - 2) + (0, missing))
    return part.unflatten(1, (count, length)).movedim(1, 0).transpose(2, 3).contiguous()


def numbers(segments: Tensor, count: int, length: int) -> tuple[Tensor, Tensor]:
    """The sequence of each token, (c, b, 1, l), and of the memory that enters its chunk, (c, b, 1, 1)."""
    missing = count * length - segments.shape[1]
    segments = torch.cat([segments[:, :1], segments, segments[:, -1:].expand(-1, missing)], 1)
    own, before = (part.unflatten(1, (count, length)) for part in (segments[:, 1:], segments[:, :-1]))
    return own.movedim(1, 0)[:, :, None], before.movedim(1, 0)[:, :, None, :1]


def solved(k: Tensor, v: Tensor, decay: Tensor, from_start: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """What the tokens of a chunk write: (c, b, h, l, n) times the memory that enters, taken from (c, b, h, l, m)."""
    system = weighted(k @ k.mT, decay) * rate[..., None]
    right = torch.cat([by_head(k, from_start * rate), v * rate[..., None]], -1)
    written = torch.linalg.solve_triangular(system, right, upper=False, unitriangular=True)
    entered, alone = written.split_with_sizes([k.shape[-1], v.shape[-1]], -1)
    return entered, alone


def weighted(similar: Tensor, decay: Tensor) -> Tensor:
    """(c, b, h, l, l): likeness of the tokens, (c, b, g, l, l), times what is left from one to the other."""
    return (similar[:, :, :, None] * decay.unflatten(2, (similar.shape[2], -1))).flatten(2, 3)


def by_head(part: Tensor, weight: Tensor) -> Tensor:
    """(c, b, g, l, n) of the heads of keys to (c, b, h, l, n), weighted by (c, b, h, l)."""
    return (part[:, :, :, None] * weight.unflatten(2, (part.shape[2], -1))[..., None]).flatten(2, 3)
