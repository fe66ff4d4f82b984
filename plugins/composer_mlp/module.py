"""B batch, T tokens, F width between the projections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.nn import At, LinearGroup, Mixer, activation

if TYPE_CHECKING:
    from composer import Site

    from .options import MLP


MOST = 512
"""Tokens of all rows at once, where no gradient is wanted: what is between the projections is several times as wide."""


class MLPModule(Mixer):
    """Up, activate, gate where there is one, down."""

    def __init__(self, options: MLP, site: Site) -> None:
        super().__init__()
        self.act = activation(options.hidden_act)
        self.group = "gate_up" if options.gated else "up"
        linears = options.declares(site).linears
        self.add_module(self.group, LinearGroup(linears[self.group]))
        self.down = LinearGroup(linears["down"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        if torch.is_grad_enabled() or x.shape[0] * x.shape[1] <= MOST:
            return self._part(x, at)
        return torch.cat([self._part(part, at) for part in x.split(max(1, MOST // len(x)), 1)], 1)

    def _part(self, x: Tensor, at: At) -> Tensor:
        first, *rest = getattr(self, self.group)(x, at)  # (B, T, F) each
        y = self.act(first)
        for up in rest:
            y = y * up if torch.is_grad_enabled() else y.mul_(up)
        return self.down(y, at)[0]
