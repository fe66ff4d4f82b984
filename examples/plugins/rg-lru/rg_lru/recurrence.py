"""The recurrence of one number a channel as plain torch functions: h <- a h + x.

b rows, t tokens, w channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

STEEPEST = 1000.0
"""The slope of the root near 0, where it would be infinite, as gradients see it."""


class Root(torch.autograd.Function):
    """A square root whose slope is bounded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(root := x.sqrt())
        return root

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (root,) = ctx.saved_tensors
        return gradients[0] / (2 * root).clamp_min(1 / STEEPEST)


def root(x: Tensor) -> Tensor:
    """The square root of what is not negative, with a slope of at most `STEEPEST`."""
    return Root.apply(x) if torch.is_grad_enabled() else x.sqrt()  # type: ignore[no-untyped-call]


def recur(decay: Tensor, written: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """(b, t, w) the memory behind each token, and (b, w) behind the last, by the rule as it is written above."""
    read = []
    for a, x in zip(decay.unbind(1), written.unbind(1), strict=True):
        memory = a * memory + x
        read.append(memory)
    return torch.stack(read, 1), memory


def scan(decay: Tensor, written: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """The same in about 2 sqrt(t) steps: all chunks side by side as if nothing entered them, then what does.

    A single token without gradients is written into `memory` itself.
    """
    rows, tokens, width = written.shape
    if tokens == 1:
        into = None if torch.is_grad_enabled() else memory
        memory = torch.addcmul(written[:, 0], decay[:, 0], memory, out=into)
        return memory[:, None], memory
    length = max(2, round(tokens**0.5))
    missing = -tokens % length
    if missing:  # nothing fades and nothing is written
        decay, written = (
            F.pad(part, (0, 0, 0, missing), value=1 - k) for k, part in enumerate((decay, written))
        )
    decays, writes = (part.view(rows, -1, length, width).unbind(2) for part in (decay, written))
    left, alone = [decays[0]], [writes[0]]
    for a, x in zip(decays[1:], writes[1:], strict=True):
        left.append(a * left[-1])
        alone.append(torch.addcmul(x, a, alone[-1]))
    entering = []
    for kept, own in zip(left[-1].unbind(1), alone[-1].unbind(1), strict=True):
        entering.append(memory)
        memory = torch.addcmul(own, kept, memory)
    read = torch.addcmul(torch.stack(alone, 2), torch.stack(left, 2), torch.stack(entering, 1)[:, :, None])
    return read.flatten(1, 2)[:, :tokens], memory
