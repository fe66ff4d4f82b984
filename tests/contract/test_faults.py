"""Blocks that are wrong on purpose: the page of faults says what the kit says, and blocks that are right pass."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from composer import Block
from composer.testing import contract_checks, run_checks

from .. import prove
from .faults import FAULTS, HONEST, Fault

MADE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_faults.py"))
PAGE = MADE["PAGE"].read_text(encoding="utf-8")
NAMED = {
    (base, says): first for base, says, first in re.findall(r"^\| (.*?) \| (.*?) \| `(\w+)` \|", PAGE, re.M)
}
SLOW = {"compiling"}
"""Takes seconds; tried in the normal suite where the page says that it is the first."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.base}-{fault.name}")
def test_the_first_check_that_names_it(fault: Fault) -> None:
    """Is the one on the page; what the page says that none names, none names."""
    named = NAMED.get((fault.base, fault.says))
    checks = [name for name in contract_checks() if name not in SLOW or name == named]

    assert ([named] if named else []) == MADE["found"](fault, checks, all_of_them=False)


def test_the_page_lists_every_fault() -> None:
    """In the order of the files, those that no check names at the end; `make docs` writes it anew."""
    missed = re.findall(r"^- (.*?): (.*)$", PAGE, re.M)
    listed = [*NAMED, *missed]

    assert sorted((fault.base, fault.says) for fault in FAULTS) == sorted(listed)
    assert f"Of {len(FAULTS)} mistakes the kit names {len(NAMED)}." in PAGE
    assert len(NAMED) >= 38
    assert missed


@pytest.mark.skipif(
    not prove.FULL, reason="all checks of all faults take a minute; COMPOSER_PROVE=1 runs them"
)
def test_the_page_is_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last check that fails for each."""
    monkeypatch.delenv("COMPOSER_PROVE")  # which asks for the slowest compiler
    results = [(fault, MADE["found"](fault, contract_checks())) for fault in FAULTS]

    assert MADE["page"](results) == PAGE


def test_every_check_is_the_first_to_name_a_fault() -> None:
    """A check that no mistake needs is not in the kit."""
    assert set(contract_checks()) == set(NAMED.values())


@pytest.mark.parametrize("block", [block for blocks in HONEST.values() for block in blocks], ids=repr)
def test_the_honest_pass(block: Block) -> None:
    """The blocks that all faults are made from, and ways to write them that look wrong and are not."""
    checks = [name for name in contract_checks() if name not in SLOW]

    assert all(each.good for each in run_checks(block, MADE["SITE"], checks))


# Fault, check, the case that is left of it, a part of the hint.
TOLD = [
    ("recurrence-ClampsAfterMask", "padding", "2 rows of 2 and 1 tokens, right padding", "after its clamp"),
    ("recurrence-LastColumn", "ragged", "", "index - 1 of a count of 0"),
    ("recurrence-StepsDiffer", "steps", "1 row of 1 token, second call of 1 token", "single token"),
    ("recurrence-SumsAcrossSegments", "packing", "packed as 1 + 1 by segment_ids", "begins at zero"),
    ("recurrence-TailOnSlot", "crop", "1 token forgotten again after the first call", "beside the slot"),
    ("attention-LooksFurther", "sees_no_more", "1 row of 4 tokens", "the token itself and n - 1 before it"),
    ("attention-LooksFurther", "crop", "", "fails too and asks for less"),
    ("attention-MixesRows", "rows", "2 rows of 1 token", "over the batch"),
    ("attention-Renamed", "half", "", "mend 'parameters' first"),
    ("attention-CallsParts", "adapters", "", "its weights and its parts know nothing of adapters"),
    ("attention-MasksByInfinity", "gradients", "2 rows of 2 and 1 tokens", "a pad that sees nothing"),
]


@pytest.mark.parametrize(("name", "check", "case", "hint"), TOLD)
def test_what_is_told(name: str, check: str, case: str, hint: str) -> None:
    """The smallest case, in words that can be typed again, and the likely cause."""
    (fault,) = [each for each in FAULTS if f"{each.base}-{each.name}" == name]
    (found,) = run_checks(fault.block, checks=[check])

    assert case in (found.counterexample or "")
    assert hint in (found.hint or "")
