"""The slow, obvious twin of the scan: token after token, every head by itself."""

from __future__ import annotations

import torch
from torch import Tensor


def scan(
    x: Tensor,  # (b, t, h, p)
    dt: Tensor,  # (b, t, h)
    A: Tensor,  # (h,)
    B: Tensor,  # (b, t, g, n)
    C: Tensor,  # (b, t, g, n)
    D: Tensor,  # (h,)
    state: Tensor,  # (b, h, p, n)
    segments: Tensor | None = None,  # (b, 1 + t)
) -> tuple[Tensor, Tensor]:
    """What every token reads and the state after the last, by the recurrence."""
    heads = x.shape[2] // B.shape[2]
    B, C = B.repeat_interleave(heads, 2), C.repeat_interleave(heads, 2)  # (b, t, h, n)
    read = []
    for t in range(x.shape[1]):
        if segments is not None:
            state = state * (segments[:, t] == segments[:, t + 1])[:, None, None, None]
        kept = (dt[:, t] * A).exp()[..., None, None]
        state = kept * state + (dt[:, t, :, None] * x[:, t])[..., None] @ B[:, t, :, None]
        read.append((state @ C[:, t, :, :, None])[..., 0] + D[:, None] * x[:, t])
    return torch.stack(read, 1), state
