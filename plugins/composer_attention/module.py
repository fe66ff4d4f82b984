"""B batch, T tokens in this call, H query heads, G key heads, E width of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from composer.nn import At, LinearGroup, Mixer, attend, rotate

if TYPE_CHECKING:
    from composer import Site

    from .options import Attention


class AttentionModule(Mixer):
    """Project, rotate, attend, project back."""

    def __init__(self, options: Attention, site: Site) -> None:
        super().__init__()
        self.o, self.site = options, site
        self.width, self.sees = options.shape[2], options.visibility
        self.scale = options.scale or self.width**-0.5
        linears = options.declares(site).linears
        self.qkv = LinearGroup(linears["qkv"])
        self.out = LinearGroup(linears["out"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        o = self.o
        q, k, v = (part.view(*x.shape[:2], -1, self.width) for part in self.qkv(x, at))  # (B, T, H or G, E)
        if o.rope:
            q, k = rotate(q, k, *at.step.rope(o.rope, self.width, self.site.max_position_embeddings))
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))  # (B, H or G, T, E)
        dropout = o.attention_dropout if self.training else 0.0
        y = attend(q, k, v, at, sees=self.sees, scale=self.scale, dropout=dropout, softcap=o.softcap)
        return self.out(y, at)[0]
