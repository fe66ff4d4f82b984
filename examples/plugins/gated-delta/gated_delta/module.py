"""The torch half.  B batch, T tokens in this call, H heads of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.nn import At, LinearGroup, Mixer, Step, activation, convolve, exactly

from . import delta

if TYPE_CHECKING:
    from composer import Site

    from .options import GatedDelta


class GatedDeltaModule(Mixer):
    """Project, convolve, correct the memories and read them, norm, gate, project back."""

    def __init__(self, options: GatedDelta, site: Site) -> None:
        super().__init__()
        self.o = options
        heads = options.num_value_heads
        self.A_log, self.dt_bias = nn.Parameter(torch.empty(heads)), nn.Parameter(torch.empty(heads))
        self.conv = nn.Parameter(torch.empty(options.channels, options.conv_kernel))
        self.norm = nn.Parameter(torch.empty(options.value_head_dim))
        self.act = activation(options.hidden_act)
        linears = options.declares(site).linears
        self.into, self.out = LinearGroup(linears["into"]), LinearGroup(linears["out"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        q, k, v, z, b, a = self.into(x, at)
        with exactly(x.device):
            y = self._read(torch.cat([q, k, v], -1), b, a, at)
            y = F.rms_norm(y, y.shape[-1:], self.norm.to(y.dtype), self.o.norm_eps)
            y = (y.flatten(-2) * F.silu(z.to(y.dtype))).to(z.dtype)
        return self.out(y, at)[0]

    def _read(self, qkv: Tensor, b: Tensor, a: Tensor, at: At) -> Tensor:
        """What each token reads of the memories, (B, T, H, values), in float32 or better."""
        o, step, state = self.o, at.step, at.state()
        rule = delta.recur if step.slow else delta.scan
        mixed, newest = convolve(qkv, state["conv"], self.conv, None, step)
        q, k, v = self.act(mixed).split_with_sizes([o.keys, o.keys, o.values], -1)
        log_decay, rate = self._rates(a.to(mixed.dtype), b.to(mixed.dtype), step)
        y, memory = rule(
            delta.unit(q.unflatten(-1, (o.num_key_heads, -1))) * o.key_head_dim**-0.5,
            delta.unit(k.unflatten(-1, (o.num_key_heads, -1))),
            v.unflatten(-1, (o.num_value_heads, -1)),
            log_decay,
            rate,
            state["memory"].to(mixed.dtype),
            step.segments,
        )
        at.remember(conv=newest, memory=memory)
        return y

    def _rates(self, a: Tensor, b: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """(B, T, H) each: the logarithm of what is left of the memory, and how far a key is corrected.

        For pads both are 0: they change nothing.
        """
        log_decay = -self.A_log.to(a.dtype).exp() * F.softplus(a + self.dt_bias.to(a.dtype))
        rate = b.sigmoid()
        if step.valid is None:
            return log_decay, rate
        real = step.valid[..., None]
        return log_decay * real, rate * real
