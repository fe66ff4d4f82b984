"""Weights in the layout that the processor's matrix library reads fastest: inference only, derived, droppable.

The private operators are used only where this build of torch has them; elsewhere the same product is
computed from a plain fused matrix.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Product = Callable[[Tensor], Tensor]
ROWS = 4
"""Half-precision products of fewer rows are faster when padded to this many."""


def pack(weight: Tensor, bias: Tensor | None) -> Product:
    """`x -> x @ weight.T + bias` for many calls under no_grad; `weight` (out, in) is taken over."""
    if not packs(weight):
        return lambda x: F.linear(x, weight, bias)
    reordered = torch.ops.mkldnn._reorder_linear_weight(weight, 8)
    fewest = ROWS if weight.dtype == torch.bfloat16 else 1

    def product(x: Tensor) -> Tensor:
        rows = x.numel() // x.shape[-1]
        if rows >= fewest:
            return torch.ops.mkldnn._linear_pointwise(x, reordered, bias, "none", [], "")
        padded = F.pad(x.reshape(rows, -1), (0, 0, 0, fewest - rows))
        out = torch.ops.mkldnn._linear_pointwise(padded, reordered, bias, "none", [], "")
        return out[:rows].reshape(*x.shape[:-1], -1)

    return product


def packs(weight: Tensor) -> bool:
    """Whether the library of this machine has a layout of its own for such a weight."""
    here = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    known = hasattr(torch.ops.mkldnn, "_reorder_linear_weight") and hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    )
    if weight.dtype == torch.bfloat16:
        return here and known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return here and known and weight.dtype == torch.float32
