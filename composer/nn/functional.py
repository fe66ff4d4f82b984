"""Normalisations as plain torch functions of (..., width); statistics in float32 or better."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """`x` over its root mean square, times `weight` (width,).

    The quotient is rounded to the dtype of `x` before the weight multiplies it: checkpoints in half
    precision were trained with that order.
    """
    # Handing the weight to the kernel would round once, after the product.
    return F.rms_norm(x, x.shape[-1:], None, eps) * weight


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """`x` minus its mean, over its standard deviation, times `weight` plus `bias` (both (width,) or None)."""
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)
