"""The torch half of the block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from composer.nn import At, LinearGroup, Mixer, convolve

if TYPE_CHECKING:
    from composer import Site

    from .options import ShortConv


class ShortConvModule(Mixer):
    """Project, gate, convolve, gate, project back; in float32 between the projections."""

    def __init__(self, options: ShortConv, site: Site) -> None:
        super().__init__()
        linears, channels = options.declares(site).linears, options.channels
        self.kernel = nn.Parameter(torch.empty(channels, options.kernel_size))
        self.kernel_bias = nn.Parameter(torch.empty(channels)) if options.bias else None
        self.in_proj, self.out_proj = LinearGroup(linears["in_proj"]), LinearGroup(linears["out_proj"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        work = torch.promote_types(x.dtype, torch.float32)
        gate, gate_out, value = (part.to(work) for part in self.in_proj(x, at))
        y, newest = convolve(gate * value, at.state()["conv"], self.kernel, self.kernel_bias, at.step)
        at.remember(conv=newest)
        return self.out_proj((gate_out * y).to(x.dtype), at)[0]
