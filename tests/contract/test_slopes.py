"""Gradients are held against slopes: what is strongly curved passes, and what is wrong does not because of that."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from composer import Block, Declared, Linears, Site
from composer.nn import At, LinearGroup
from composer.testing import run_checks

STEEP = 3000.0
"""Waves so short that two points which float32 tells apart well are several of them apart."""


class Waves(Block):
    """A sine of much; the part of the slope that gradients do not follow is wrong."""

    kind: ClassVar[str] = "waves"

    lost: float = 0.0
    single: bool = False

    def declares(self, site: Site) -> Declared:
        """Two maps."""
        linears = {
            "into": Linears(reads=site.reads, parts={"u": 6}),
            "out": Linears(reads=6, parts={"o": site.writes}),
        }
        return Declared(linears=linears)

    def build(self, site: Site) -> Any:
        """The module."""
        return Module(self, site)


class Module(nn.Module):
    """No gradient goes through the part that is lost; no float64 where it is for single precision."""

    def __init__(self, options: Waves, site: Site) -> None:
        super().__init__()
        linears = options.declares(site).linears
        self.lost, self.single = options.lost, options.single
        self.into, self.out = LinearGroup(linears["into"]), LinearGroup(linears["out"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        """(B, T, writes)."""
        if self.single and x.dtype == torch.float64:
            raise RuntimeError("no kernel for float64")
        u = self.into(x, at)[0]
        u = u * (1 - self.lost) + u.detach() * self.lost
        return self.out((STEEP * u).sin(), at)[0]


@pytest.mark.parametrize(("lost", "single"), [(0.0, False), (0.3, False), (0.0, True)])
def test_what_is_strongly_curved(lost: float, single: bool) -> None:
    """Is measured nearer, in float64; a part that is missing shows there too, and so does a block without it."""
    (outcome,) = run_checks(Waves(lost=lost, single=single), checks=["gradients"])

    assert outcome.good == (not lost and not single)
    assert outcome.good or "is not the slope of what is returned" in (outcome.message or "")
