"""A block with memory of a kind that the host has never heard of: sums that fade, and the token before."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import composer
from composer import Block, Catalog, Declared, Linears, Param, Site, Slot
from composer.nn import At, LinearGroup, Mixer
from composer.plugins import Offer


class Fading(Block):
    """`sum = fade * sum + in(x + x before)`, and out comes what that is worth."""

    kind: ClassVar[str] = "fading"

    width: int = 5

    def declares(self, site: Site) -> Declared:
        return Declared(
            params={"fade": Param(shape=(self.width,), init="linear")},
            linears={
                "in": Linears(reads=site.reads, parts={"sum": self.width, "gate": self.width}),
                "out": Linears(reads=self.width, parts={"out": site.writes}),
            },
            slot=Slot(kind="recurrent", tensors={"sum": (self.width, 1), "before": (site.reads,)}),
        )

    def build(self, site: Site) -> Mixer:
        return FadingModule(self, site)


class FadingModule(Mixer):
    """One token after the other."""

    def __init__(self, options: Fading, site: Site) -> None:
        super().__init__()
        linears = options.declares(site).linears
        self.fade = nn.Parameter(torch.empty(options.width))
        self.add_module("in", LinearGroup(linears["in"]))
        self.out = LinearGroup(linears["out"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        held = at.state()
        valid = at.step.valid
        total, before = held["sum"], held["before"]
        given, gate = self.get_submodule("in")(
            x + 0.5 * torch.cat([before[:, None].to(x.dtype), x[:, :-1]], 1), at
        )
        sums = []
        for t in range(x.shape[1]):
            real = torch.ones(len(x), dtype=torch.bool) if valid is None else valid[:, t]
            moved = self.fade.sigmoid()[:, None] * total + given[:, t, :, None]
            total = torch.where(real[:, None, None], moved, total)
            before = torch.where(real[:, None], x[:, t], before)
            sums.append(total[..., 0])
        at.remember(sum=total, before=before)
        return self.out((torch.stack(sums, 1) * gate.sigmoid()).to(x.dtype), at)[0]


def catalog() -> Catalog:
    """Every installed kind, and this one."""
    here = Offer(Fading, "fading", "tests", "0")
    offers: dict[str, Any] = {**composer.catalog().offers, "fading": here}
    return Catalog(offers)
