"""Attention kernels of other libraries, bound when they are first asked for.

Where a kernel cannot do a call, it hands it to `sdpa`, which is the same mathematics; where its library is
missing, it says so.
"""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor

from composer.block import Causal
from composer.errors import CallError, fail

from .attend import KERNELS, Sees, mask_of, sdpa
from .slots import Keys
from .step import Step


def flash(q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, dropout: float) -> Tensor:
    """The flash-attn package, for what it takes and rows that are alike; it aligns the last query and key.

    Values of another width than keys are none of what it takes.
    """
    try:
        library = import_module("flash_attn")
    except ImportError as error:
        hint = "pip install 'arch-composer[flash]' on a machine with an NVIDIA GPU, or attention='sdpa'"
        fail(CallError, "E714", f"the flash kernel needs the package flash-attn: {error}", hint=hint)
    alike = step.start is not None and keys.ordered and step.segments is None
    even = q.shape[3] == keys.values[1].shape[3]
    if not isinstance(sees, Causal) or not alike or not even or not flash_takes(q):
        return sdpa(q, keys, step, sees, scale, dropout)
    q, k, v = (t.transpose(1, 2) for t in (q, *keys.values))
    back = -1 if sees.window is None else sees.window - 1
    out: Tensor = library.flash_attn_func(
        q, k, v, dropout_p=dropout, softmax_scale=scale, causal=True, window_size=(back, 0)
    )
    return out.transpose(1, 2)


def flash_takes(q: Tensor) -> bool:
    """The package computes on NVIDIA devices, in half precision."""
    return q.is_cuda and q.dtype in (torch.float16, torch.bfloat16)


def flex(q: Tensor, keys: Keys, step: Step, sees: Sees, scale: float, dropout: float) -> Tensor:
    """torch's flex_attention, without dropout; on a CPU without gradients.

    Under torch.compile it skips blocks of keys that no query of a block sees; uncompiled it computes all
    scores, and warns that it does.
    """
    if dropout or (q.requires_grad and q.device.type == "cpu"):
        return sdpa(q, keys, step, sees, scale, dropout)
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = mask_of(step, keys, sees)
    rows, last = mask.shape[0], mask.shape[0] - 1

    def seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return mask[row.clamp_max(last), 0, query, key]

    blocks = step.once(
        ("flex", sees, keys.where),
        lambda: create_block_mask(
            seen, rows, None, q.shape[2], keys.values[0].shape[2], device=str(q.device)
        ),
    )
    k, v = keys.values
    return flex_attention(q, k, v, block_mask=blocks, scale=scale, enable_gqa=True)


KERNELS.update(flash=flash, flex=flex)
