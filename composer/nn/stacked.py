"""Several matrices that lie one below the other in memory, seen as one.

Parts of a stored tensor do, as a load leaves them: one product over all of them reads the same bytes with
fewer calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """The parts (rows, ...) below each other: a view where they lie so and no gradient is wanted, else a copy."""
    whole = None if torch.is_grad_enabled() else beside(parts)
    return torch.cat(list(parts)) if whole is None else whole


def beside(parts: Sequence[Tensor]) -> Tensor | None:
    """A view of parts that follow each other in one storage; None where they do not."""
    first, end = parts[0], 0
    if torch.compiler.is_compiling() or first.device.type == "meta":
        return None
    store = first.untyped_storage().data_ptr()
    for part in parts:
        if end and part.data_ptr() != end:
            return None
        if (
            part.dtype != first.dtype
            or part.untyped_storage().data_ptr() != store
            or not part.is_contiguous()
        ):
            return None
        end = part.data_ptr() + part.numel() * part.element_size()
    rows = sum(len(part) for part in parts)
    return first.detach().as_strided((rows, *first.shape[1:]), first.stride(), first.storage_offset())
