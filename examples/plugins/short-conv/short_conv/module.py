"""B batch, T tokens in this call, W channels, K tokens under the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.nn import At, LinearGroup, Mixer, Step

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
        before = at.state()["conv"]  # (B, K - 1, W)
        work = torch.promote_types(x.dtype, before.dtype)
        gate, gate_out, value = (part.to(work) for part in self.in_proj(x, at))
        full = torch.cat([before.to(work), gate * value], 1)  # (B, K - 1 + T, W)
        at.remember(conv=newest(full, at.step, before.shape[1]).to(before.dtype))
        bias = None if self.kernel_bias is None else self.kernel_bias.to(work)
        convolve = windows if at.step.attention == "reference" else taps
        y = convolve(full, self.kernel.to(work), bias, surrounded(at.step, before.shape[1]))
        return self.out_proj((gate_out * y).to(x.dtype), at)[0]


def newest(full: Tensor, step: Step, size: int) -> Tensor:
    """(B, size, W): the last real ones of each row."""
    if step.valid is None:
        return full[:, full.shape[1] - size :]
    index = step.tensor(step.counts)[:, None] + torch.arange(size, device=full.device)
    return full.gather(1, index[..., None].expand(-1, -1, full.shape[2]))


def surrounded(step: Step, before: int) -> Tensor | None:
    """(B, before + T): which packed sequence each token belongs to, -1 for those before the call."""
    segments = step.segments
    if segments is None:
        return None
    return step.once(("segments", before), lambda: F.pad(segments, (before, 0), value=-1))


def taps(full: Tensor, kernel: Tensor, bias: Tensor | None, segments: Tensor | None) -> Tensor:
    """(B, K - 1 + T, W) to (B, T, W): one product for each place of the kernel; several times faster on a CPU."""
    size = kernel.shape[1]
    tokens = full.shape[1] - size + 1
    y = full.new_zeros(()) if bias is None else bias
    for k, column in enumerate(kernel.unbind(1)):
        tap = full[:, k : k + tokens]
        if segments is not None:
            tap = tap * (segments[:, k : k + tokens] == segments[:, size - 1 :])[..., None]
        y = torch.addcmul(y, tap, column)
    return y


def windows(full: Tensor, kernel: Tensor, bias: Tensor | None, segments: Tensor | None) -> Tensor:
    """The same by torch's own convolution of every token's window: what `taps` and the FLOPs are held to."""
    size = kernel.shape[1]
    seen = full.unfold(1, size, 1)  # (B, T, W, K)
    if segments is not None:
        seen = seen * (segments.unfold(1, size, 1) == segments[:, size - 1 :, None])[:, :, None]
    return F.conv1d(seen.flatten(0, 1), kernel[:, None], bias, groups=len(kernel)).view(seen.shape[:3])
