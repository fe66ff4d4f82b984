"""The short convolution, and what it remembers.  B batch, T tokens in this call, C channels, K tokens looked at."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from composer.nn import Step


def convolve(full: Tensor, weight: Tensor, bias: Tensor, step: Step) -> Tensor:
    """Each channel of each token mixed with its own last values: (B, K - 1 + T, C) and (C, K) to (B, T, C).

    A token sees tokens of its own packed sequence.
    """
    kernel = weight.shape[1]
    if step.attention == "reference":
        return plainly(full, weight, bias, step)
    if step.width == 1 and step.segments is None:
        return (full * weight.mT).sum(1, keepdim=True) + bias
    taps = [full[:, k : k + step.width] for k in range(kernel)]
    if (own := same(step, kernel)) is not None:
        taps = [tap * own[..., k, None] for k, tap in enumerate(taps)]
    y = torch.addcmul(bias, taps[0], weight[:, 0])
    for tap, column in zip(taps[1:], weight.unbind(1)[1:], strict=True):
        y.addcmul_(tap, column)
    return y


def plainly(full: Tensor, weight: Tensor, bias: Tensor, step: Step) -> Tensor:
    """The same, slow and obvious: a window for every token, and torch's own convolution of each."""
    windows, own = full.unfold(1, weight.shape[1], 1), same(step, weight.shape[1])  # (B, T, C, K)
    if own is not None:
        windows = windows * own[:, :, None]
    return F.conv1d(windows.flatten(0, 1), weight[:, None], bias, groups=len(weight)).view(windows.shape[:3])


def same(step: Step, kernel: int) -> Tensor | None:
    """(B, T, K): whether each of the last K tokens is of the same packed sequence; None where none are packed."""
    segments = step.segments
    if segments is None:
        return None
    before = F.pad(segments, (kernel - 1, 0), value=-1).unfold(1, kernel, 1)
    return before == segments[..., None]


def newest(full: Tensor, size: int, step: Step) -> Tensor:
    """The last `size` values of each row that are real: (B, size + T, C) to (B, size, C)."""
    if step.valid is None:
        return full[:, full.shape[1] - size :]
    index = step.tensor(step.counts)[:, None] + torch.arange(size, device=full.device)
    return full.gather(1, index[..., None].expand(-1, -1, full.shape[2]))


def exactly(device: torch.device) -> AbstractContextManager[object]:
    """Arithmetic in the dtype of its operands: inside autocast too, sums over many tokens stay in float32."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
