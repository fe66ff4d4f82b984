"""Blocks that are wrong on purpose: the kit names what is wrong, and blames nothing else without need."""

from __future__ import annotations

import random

import pytest

from composer import Block
from composer.testing import ContractError, check_block, contract_checks

from . import liars, recurrent_liars

QUICK = [name for name in contract_checks() if name != "compiling"]

# The check that a lie is made for, and the others that it cannot but break as well.
LIES: dict[str, tuple[str, str]] = {
    "LooksAhead": ("sees_no_more", "chunks steps ragged crop"),
    "LooksFurther": ("sees_no_more", "chunks steps ragged crop"),
    "LooksLessFar": ("sees_no_less", ""),
    "Renamed": ("parameters", ""),
    "Reordered": ("parameters", ""),
    "Narrower": ("parameters", ""),
    "Buffered": ("parameters", ""),
    "OneHead": ("memory", ""),
    "Forgetful": ("memory", ""),
    "WritesInput": ("input_kept", ""),
    "NeverDrops": ("dropout", ""),
    "Noisy": ("dropout", ""),
    "Unseeded": ("dropout", ""),
    "CountsItself": ("crop", "right_padding left_padding ragged reset"),
    "StartsAtZero": ("steps", "chunks packing"),
    "CountsFromTheEnd": ("right_padding", "left_padding packing chunks steps ragged crop"),
    "IgnoresSegments": ("packing", ""),
    "MixesRows": ("rows", "right_padding left_padding ragged crop reset"),
    "ReturnsFloat": ("half", ""),
    "ReturnsDouble": ("shape", ""),
    "Overflows": ("half", ""),
    "DrawsItsScale": ("meta", "kernels half saving prepared adapters"),
    "HoldsTensor": ("meta", ""),
    "Detached": ("gradients", "adapters"),
    "CallsParts": ("adapters", ""),
    "KeepsCopy": ("prepared", "adapters"),
    "KernelDependent": ("kernels", ""),
    "SaysInit": ("initialisation", ""),
    "SaysFewerFlops": ("flops", ""),
    "SaysNoSlot": ("steps", "chunks flops"),
    "SaysSlotOfMore": ("memory", ""),
    "SaysShorterWindow": ("steps", "chunks flops ragged crop"),
    "SaysFuture": ("sees_no_more", "sees_no_less"),
    "SaysNothing": ("options", ""),
    "LosesOption": ("options", ""),
    "SettlesAgain": ("options", ""),
}

# The same of a block with a recurrent state.
RECURRENT: dict[str, tuple[str, str]] = {
    "SeesPads": ("right_padding", "left_padding ragged crop states"),
    "TailOfPads": ("right_padding", "left_padding ragged crop states"),
    "LeaksRows": ("rows", "right_padding left_padding ragged crop states reset"),
    "SumsAcrossSegments": ("packing", ""),
    "ConvolvesAcrossSegments": ("packing", ""),
    "StepsDiffer": ("steps", "ragged crop"),
    "ReturnsNothing": ("memory", ""),
    "ReturnsHalf": ("memory", ""),
    "ReturnsMore": ("memory", ""),
    "ReturnsTwice": ("memory", ""),
    "RoundsState": ("memory", ""),
    "KeepsItself": ("repeats", "crop reset"),
    "BeginsAnewForAll": ("reset", "ragged"),
    "CountsCalls": ("chunks", "steps ragged crop states"),
    "RunsAway": ("bounded", ""),
    "Ticking": ("states", ""),
}


def told(lie: str) -> Block:
    """The block that tells one lie."""
    if lie == "Ticking":
        return recurrent_liars.SaysClock()
    if lie in recurrent_liars.MODULES:
        return recurrent_liars.Fading(lie=lie)
    if lie in liars.OPTIONS:
        return liars.OPTIONS[lie].model_validate({"gain": 2.0} if lie == "LosesOption" else {})
    return liars.Honest(lie=lie, dropout=0.3 if lie in ("NeverDrops", "Unseeded") else 0.0)


def failed(block: Block, checks: list[str]) -> set[str]:
    """The names of the checks that the block does not pass."""
    random.seed(0)
    try:
        check_block(block, checks=checks)
    except ContractError as error:
        return {problem.path for problem in error.problems}
    return set()


@pytest.mark.parametrize("lie", [*LIES, *RECURRENT])
def test_lie_is_caught_by_its_check(lie: str) -> None:
    """By the check that is meant for it, and by no other than those that rest on the same."""
    meant, others = {**LIES, **RECURRENT}[lie]

    assert {meant, *others.split()} == failed(told(lie), QUICK)


@pytest.mark.parametrize(("lie", "meant"), [("AlwaysDrops", "dropout"), ("Accumulates", "repeats")])
def test_lie_that_breaks_nearly_everything(lie: str, meant: str) -> None:
    """Chance and hidden state show in most checks; the one that is meant for them is among those."""
    assert meant in failed(told(lie), QUICK)


def test_lie_under_the_compiler() -> None:
    """A module that does something else when it is compiled."""
    assert {"compiling"} == failed(told("Compiled"), ["compiling"])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_truth_passes(dropout: float) -> None:
    """The block that all lies are made from keeps the contract."""
    assert set() == failed(liars.Honest(dropout=dropout), QUICK)


@pytest.mark.parametrize("name", ["", "InPlace"])
def test_the_truth_with_a_state_passes(name: str) -> None:
    """The block that all lies about states are made from, and one that changes its state in place."""
    assert set() == failed(recurrent_liars.Fading(lie=name), QUICK)


def test_every_check_has_its_liar() -> None:
    """No check is there that nothing has ever failed; copies fail only with chance or hidden state."""
    lies = [*LIES.values(), *RECURRENT.values()]
    caught = {name for meant, others in lies for name in (meant, *others.split())}

    assert {"copies", "compiling"} == set(contract_checks()) - caught


def test_every_liar_is_listed() -> None:
    """A new lie joins the table."""
    known = {*LIES, "AlwaysDrops", "Accumulates", "Compiled", "Raises"}

    assert known == {*liars.MODULES, *liars.OPTIONS} - {"Gained"}
    assert {*RECURRENT, "InPlace"} == set(recurrent_liars.MODULES)
