"""The torch half.  B batch, T tokens in this call, W channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.nn import At, LinearGroup, Mixer, Step, activation, convolve, exactly

from . import recurrence

if TYPE_CHECKING:
    from composer import Site

    from .options import RGLRU

SHARPNESS = 8.0
"""How many times `decay` a channel fades, in logarithms, where its gate is wide open."""


class RGLRUModule(Mixer):
    """Project, convolve, remember, gate by the second branch, project back."""

    def __init__(self, options: RGLRU, site: Site) -> None:
        super().__init__()
        width, heads = options.width or 0, options.num_heads
        gate = (heads, width // heads, width // heads)
        self.decay = nn.Parameter(torch.empty(width))
        self.conv = nn.Parameter(torch.empty(width, options.conv_kernel))
        self.input_gate, self.decay_gate = nn.Parameter(torch.empty(gate)), nn.Parameter(torch.empty(gate))
        self.conv_bias = nn.Parameter(torch.empty(width))
        self.input_gate_bias = nn.Parameter(torch.empty(width))
        self.decay_gate_bias = nn.Parameter(torch.empty(width))
        self.act = activation(options.hidden_act)
        linears = options.declares(site).linears
        self.into, self.out = LinearGroup(linears["into"]), LinearGroup(linears["out"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        x, y = self.into(x, at)
        state, scan = at.state(), recurrence.recur if at.step.slow else recurrence.scan
        with exactly(x.device):
            mixed, newest = convolve(x, state["conv"], self.conv, self.conv_bias, at.step)
            decay, written = self._gated(mixed, at.step)
            read, memory = scan(decay, written, state["memory"].to(mixed.dtype))
        at.remember(conv=newest, memory=memory)
        return self.out(read.to(y.dtype) * self.act(y), at)[0]

    def _gated(self, x: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """(B, T, W) each: what is left of the memory at a token, and what the token writes.

        The first token of a sequence finds no memory and is written in full; pads leave it as it is.
        """
        opened, taken = self._gates(x)
        logs = F.softplus(self.decay.to(x.dtype)) * -SHARPNESS * opened
        share = recurrence.root(-torch.expm1(2 * logs))
        decay, first, real = logs.exp(), step.first, step.valid
        if first is not None:
            share = share.masked_fill(first[..., None], 1)
            decay = decay.masked_fill(first[..., None], 0)
        written = x * taken * share
        if real is not None:
            decay, written = decay.masked_fill(~real[..., None], 1), written * real[..., None]
        return decay, written

    def _gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, W) each, between 0 and 1: blocks of channels, each from itself, in the dtype of the weights."""
        blocks = x.to(self.decay_gate.dtype).view(-1, *self.decay_gate.shape[:2]).transpose(0, 1)
        opened, taken = (
            torch.baddbmm(bias.view(len(weight), 1, -1), blocks, weight).transpose(0, 1).reshape(x.shape)
            for weight, bias in (
                (self.decay_gate, self.decay_gate_bias),
                (self.input_gate, self.input_gate_bias),
            )
        )
        return opened.to(x.dtype).sigmoid(), taken.to(x.dtype).sigmoid()
