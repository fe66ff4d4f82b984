"""Pads hold anything: the kit puts noise there, in calls and where tokens are brought back after a rollback."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from composer import Block, Declared, Linears, Site, Slot
from composer.nn import At, LinearGroup
from composer.testing import run_checks
from composer.testing.bench import Bench


class Sums(Block):
    """Sums of all tokens so far; a pad that were zero would add nothing by itself."""

    kind: ClassVar[str] = "sums"

    masked: bool = True

    def declares(self, site: Site) -> Declared:
        """Two maps without biases, and the sum."""
        linears = {
            "into": Linears(reads=site.reads, parts={"u": 6}),
            "out": Linears(reads=6, parts={"o": site.writes}),
        }
        return Declared(linears=linears, slot=Slot(kind="recurrent", tensors={"sum": (6,)}))

    def build(self, site: Site) -> Any:
        """The module."""
        return Module(self, site)


class Module(nn.Module):
    """Pads are left out only if the block says so."""

    def __init__(self, options: Sums, site: Site) -> None:
        super().__init__()
        linears = options.declares(site).linears
        self.masked = options.masked
        self.into, self.out = LinearGroup(linears["into"]), LinearGroup(linears["out"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        """(B, T, writes)."""
        u = self.into(x, at)[0].float()
        if self.masked and at.step.valid is not None:
            u = u * at.step.valid[..., None]
        total = at.state()["sum"][:, None] + u.cumsum(1)
        at.remember(sum=total[:, -1])
        return self.out(total.to(x.dtype), at)[0]


@pytest.mark.parametrize("check", ["padding", "ragged", "states", "crop"])
def test_what_pads_write_shows(check: str) -> None:
    """Though the block has no bias and nothing of it fades."""
    (wrong,), (right,) = (run_checks(Sums(masked=masked), checks=[check]) for masked in (False, True))

    assert not wrong.good
    assert right.good


def test_noise_is_only_at_pads() -> None:
    """What real tokens are is the caller's."""
    bench, read = Bench(Sums(), Site(reads=8, writes=8)), list[Tensor]()
    model, x = bench.model(), bench.input(1, 4)
    bench.mixer(model).register_forward_pre_hook(lambda _, given: read.append(given[0]))
    bench.run(model, x, attention_mask=torch.tensor([[1, 1, 1, 0]]))

    assert torch.equal(read[0][:, :3], x[:, :3])
    assert bool((read[0][:, 3] != 0).all())
