"""What surrounds the scan, as plain torch functions: step sizes, the short convolution, the gated norm.

b rows, t tokens, h heads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def step_sizes(raw: Tensor, bias: Tensor, low: float | None, high: float | None) -> Tensor:
    """(b, t, h) how far each token moves each state, in float32 or better; for one token and for many."""
    work = torch.promote_types(raw.dtype, torch.float32)
    dt = F.softplus(raw.to(work) + bias)
    return dt if low is None and high is None else dt.clamp(low, high)


def convolve(full: Tensor, weight: Tensor, bias: Tensor | None, segments: Tensor | None = None) -> Tensor:
    """Every channel of every token mixed with its own last values: (b, k - 1 + t, channels) to (b, t, channels).

    `weight` is (channels, k).  `segments`, (b, k - 1 + t), numbers packed sequences; a token sees its own.
    """
    kernel = weight.shape[1]
    tokens = full.shape[1] - kernel + 1
    if tokens == 1 and segments is None:
        y = (full * weight.mT).sum(1, keepdim=True)
        return y if bias is None else y + bias
    taps = [full[:, k : k + tokens] for k in range(kernel)]
    if segments is not None:
        own = segments[:, kernel - 1 :]
        taps = [tap * (segments[:, k : k + tokens] == own)[..., None] for k, tap in enumerate(taps)]
    columns = weight.unbind(1)
    y = taps[0] * columns[0] if bias is None else torch.addcmul(bias, taps[0], columns[0])
    for tap, column in zip(taps[1:], columns[1:], strict=True):
        y.addcmul_(tap, column)
    return y


def newest(full: Tensor, size: int, counts: Tensor | None) -> Tensor:
    """The last `size` values of each row that are real: (b, size + t, channels) to (b, channels, size).

    `counts`, (b,), is how many of the t tokens of a row are; None for all of them.
    """
    if counts is None:
        return full[:, full.shape[1] - size :].mT
    index = counts[:, None] + torch.arange(size, device=full.device)
    return full.gather(1, index[..., None].expand(-1, -1, full.shape[2])).mT


def gated_norm(y: Tensor, gate: Tensor, weight: Tensor, groups: int, eps: float) -> Tensor:
    """`y` (b, t, channels) times the activated gate, over the root mean square of its group, times `weight`."""
    gated = F.silu(gate.to(y.dtype)).mul(y)
    grouped = gated.unflatten(-1, (groups, -1))
    return F.rms_norm(grouped, grouped.shape[-1:], None, eps).flatten(-2) * weight
