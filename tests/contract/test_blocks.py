"""Every block of the catalog keeps the contract, through the door that a stranger's block uses."""

from __future__ import annotations

from typing import get_args

import pytest

import composer
from composer import ActivationName, Site, catalog
from composer.testing import check_block, contract_checks

from .. import prove
from .samples import SAMPLES, sample

EVERY = [(kind, name) for kind, samples in SAMPLES.items() for name in samples]
QUICK = [name for name in contract_checks() if name != "compiling"]
COMPILED = (
    EVERY if prove.FULL else [("attention", "odd-heads-window"), ("mamba2", "odd"), ("mlp", "gated-bias")]
)


def test_every_kind_has_samples() -> None:
    """A block that joins the catalog is held to the contract, or this fails."""
    assert set(catalog().offers) == set(SAMPLES)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_block_keeps_the_contract(kind: str, name: str) -> None:
    """All quick checks of one block with one set of options; what fails is told at once."""
    check_block(sample(kind, name), checks=QUICK)


@pytest.mark.parametrize(("kind", "name"), COMPILED)
def test_block_compiles(kind: str, name: str) -> None:
    """Compiling takes seconds, so the sample is small; all of them when proving."""
    check_block(sample(kind, name), checks=["compiling"])
    prove.counted("blocks, compiled as uncompiled")


@pytest.mark.parametrize("act", get_args(ActivationName))
def test_every_activation(act: str) -> None:
    """Any activation, plain and gated."""
    for gated in (False, True):
        block = catalog()["mlp"].model_validate({"intermediate_size": 24, "hidden_act": act, "gated": gated})
        check_block(block, checks=["options", "half", "gradients", "steps", "sees_no_more", "input_kept"])


@pytest.mark.parametrize(
    ("kind", "name"), [("attention", "odd-heads-window"), ("mamba2", "odd"), ("mlp", "gated-bias")]
)
@pytest.mark.parametrize(("reads", "writes"), [(24, 12), (7, 7), (5, 9)])
def test_widths_are_the_parents(kind: str, name: str, reads: int, writes: int) -> None:
    """A block may read another width than it writes."""
    check_block(sample(kind, name), Site(reads=reads, writes=writes), QUICK)


def test_the_door() -> None:
    """The kit is found where plugins look for it."""
    assert composer.testing.check_block is check_block
