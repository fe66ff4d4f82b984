"""The slow, obvious twins of the fast functions: token after token, every head by itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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


def convolve(full: Tensor, weight: Tensor, bias: Tensor | None, segments: Tensor | None) -> Tensor:
    """A window of inputs for every token, those of other sequences zero, and torch's own convolution of each."""
    kernel = weight.shape[1]
    windows = full.unfold(1, kernel, 1)  # (b, t, channels, kernel)
    if segments is not None:
        same = segments.unfold(1, kernel, 1) == segments[:, kernel - 1 :, None]
        windows = windows * same[:, :, None]
    y = F.conv1d(windows.flatten(0, 1), weight[:, None], bias, groups=len(weight))
    return y.view(windows.shape[:3])
