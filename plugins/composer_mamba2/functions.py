"""What surrounds the scan, as plain torch functions: step sizes, the gated norm.

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


def gated_norm(y: Tensor, gate: Tensor, weight: Tensor, groups: int, eps: float) -> Tensor:
    """`y` (b, t, channels) times the activated gate, over the root mean square of its group, times `weight`."""
    gated = F.silu(gate.to(y.dtype)).mul(y)
    grouped = gated.unflatten(-1, (groups, -1))
    return F.rms_norm(grouped, grouped.shape[-1:], None, eps).flatten(-2) * weight
