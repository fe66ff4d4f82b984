"""Normalisations as plain torch functions of (..., width); statistics in float32 or better."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LONG = 2048
"""From this width on a lone bfloat16 row is multiplied faster when it comes twice (benchmarks/one_row.py)."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` (..., T, reads) times `weight` (writes, reads) transposed, plus `bias` (writes,)."""
    lone = x.dtype == torch.bfloat16 and x.numel() == x.shape[-1] >= LONG
    if not lone or torch.is_grad_enabled() or x.device.type != "cpu":
        return F.linear(x, weight, bias)
    return F.linear(torch.cat((x, x), -2), weight, bias)[..., :1, :]


def rms_norm(
    x: Tensor, weight: Tensor | None, eps: float, offset: float = 0.0, late_cast: bool = False
) -> Tensor:
    """`x` over its root mean square, times `offset + weight` (width,), or by itself without a weight.

    The quotient is rounded to the dtype of `x` before the weight multiplies it, since most checkpoints in half
    precision were trained with that order; with `late_cast` the product is.
    """
    if late_cast:
        wide = x if x.dtype == torch.float64 else x.float()
        return rms_norm(wide, None if weight is None else weight.to(wide.dtype), eps, offset).to(x.dtype)
    # Handing the weight to the kernel would round once, after the product.
    quotient = F.rms_norm(x, x.shape[-1:], None, eps)
    if weight is None:
        return quotient
    return quotient * (weight + offset if offset else weight)


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """`x` minus its mean, over its standard deviation, times `weight` plus `bias` (both (width,) or None)."""
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)
