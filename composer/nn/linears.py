"""Linear maps that share an input: separate leaves, called as one.

Packing happens here and nowhere else.
"""

from __future__ import annotations

from torch import Tensor, nn

from composer.block import Linears

from .layer import At


class LinearGroup(nn.Module):
    """The parts of a `Linears`, each an `nn.Linear` under its own name."""

    def __init__(self, linears: Linears) -> None:
        super().__init__()
        for part, width in linears.parts.items():
            self.add_module(part, nn.Linear(linears.reads, width, bias=linears.bias))

    def forward(self, x: Tensor, at: At) -> list[Tensor]:
        """(B, T, reads) to one (B, T, width) a part, in order."""
        return [part(x) for part in self.children()]
