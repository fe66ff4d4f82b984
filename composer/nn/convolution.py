"""A short causal convolution, and what it remembers of a row: its newest inputs.

B batch, T tokens, C channels, K tokens that each token looks at, its own included.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from .step import Step


def convolve(
    x: Tensor,  # (B, T, C)
    before: Tensor,  # (B, K - 1, C), float32
    weight: Tensor,  # (C, K)
    bias: Tensor | None,  # (C,)
    step: Step,
    span: slice | None = None,
) -> tuple[Tensor, Tensor]:
    """Every channel of every token mixed with its own last values: (B, T, C), and the inputs to remember.

    `before` are the K - 1 inputs that were remembered, zeros at first; what is handed back are as many, the newest
    of each row's real tokens.  A token sees tokens of its own packed sequence.  Both results are float32, or float64
    as x is.  A block that works on a part of the call's tokens says on which: `span`.
    """
    full = torch.cat([before, x], 1)  # in the wider dtype of both
    size, span = before.shape[1], span or slice(0, x.shape[1])
    mix = windows if step.slow else taps
    bias = None if bias is None else bias.to(full.dtype)
    y = mix(full, weight.to(full.dtype), bias, surrounded(step, size, span))
    return y, newest(full, size, counted(step, span))


def exactly(device: torch.device) -> AbstractContextManager[object]:
    """Within, arithmetic is in the dtype of its operands, under autocast too: sums over tokens stay in float32."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def taps(full: Tensor, weight: Tensor, bias: Tensor | None, segments: Tensor | None) -> Tensor:
    """(B, K - 1 + T, C) to (B, T, C): one product for each place of the kernel.

    Several times faster than torch's own on a CPU, and it needs no other layout.
    """
    kernel = weight.shape[1]
    tokens = full.shape[1] - kernel + 1
    if tokens == 1 and segments is None:
        y = (full * weight.mT).sum(1, keepdim=True)
        return y if bias is None else y + bias
    parts = [full[:, k : k + tokens] for k in range(kernel)]
    if segments is not None:
        own = segments[:, kernel - 1 :]
        parts = [part * (segments[:, k : k + tokens] == own)[..., None] for k, part in enumerate(parts)]
    columns = weight.unbind(1)
    y = parts[0] * columns[0] if bias is None else torch.addcmul(bias, parts[0], columns[0])
    for part, column in zip(parts[1:], columns[1:], strict=True):
        y.addcmul_(part, column)
    return y


def windows(full: Tensor, weight: Tensor, bias: Tensor | None, segments: Tensor | None) -> Tensor:
    """The same, slow and obvious: a window of inputs for every token, and torch's own convolution of each."""
    kernel = weight.shape[1]
    seen = full.unfold(1, kernel, 1)  # (B, T, C, K)
    if segments is not None:
        same = segments.unfold(1, kernel, 1) == segments[:, kernel - 1 :, None]
        seen = seen * same[:, :, None]
    return F.conv1d(seen.flatten(0, 1), weight[:, None], bias, groups=len(weight)).view(seen.shape[:3])


def newest(full: Tensor, size: int, counts: Tensor | None) -> Tensor:
    """The last `size` values of each row that are real: (B, size + T, C) to (B, size, C).

    `counts`, (B,), is how many of the T tokens of a row are; None for all of them.
    """
    if counts is None:
        return full[:, full.shape[1] - size :]
    index = counts[:, None] + torch.arange(size, device=full.device)
    return full.gather(1, index[..., None].expand(-1, -1, full.shape[2]))


def surrounded(step: Step, before: int, span: slice) -> Tensor | None:
    """(B, before + T) the packed sequence of each token and of those before it, -1 before the call."""
    segments = step.segments
    if segments is None:
        return None
    padded = step.once(("segments", before), lambda: F.pad(segments, (before, 0), value=-1))
    found: Tensor = padded[:, span.start : span.stop + before]
    return found


def counted(step: Step, span: slice) -> Tensor | None:
    """(B,) how many of these tokens are real, None where all are."""
    if step.valid is None:
        return None
    return (step.tensor(step.counts) - span.start).clamp(0, span.stop - span.start)
