"""Running the kit: what came of each check, failures that are expected, and checks as parameters of a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from composer import Site
from composer.testing import ContractError, check_block, contract_checks, parametrize_with_checks, run_checks

from .faults.attention import Honest

WRONG = Honest(fault="IgnoresSegments")
REASON = {"packing": "it is never trained on packed rows"}


def test_outcomes_in_order() -> None:
    """One for each check asked for, with what failed and the time that each took."""
    found = run_checks(WRONG, checks=["packing", "rows"])

    assert [("packing", "failed"), ("rows", "passed")] == [(each.check, each.result) for each in found]
    assert [False, True] == [each.good for each in found]
    assert all(each.seconds > 0 for each in found)


def test_an_outcome_as_plain_data() -> None:
    """For programs that read it as JSON."""
    (found,) = run_checks(WRONG, Site(reads=8, writes=8), checks=["packing"])
    data = json.loads(json.dumps(found.to_json()))

    assert ("packing", "honest", "failed", 8) == (
        data["check"],
        data["kind"],
        data["result"],
        data["site"]["reads"],
    )


def test_a_failure_that_is_expected() -> None:
    """Counts as good, and the reason stands where the finding would."""
    (found,) = run_checks(WRONG, checks=["packing"], expected=REASON)

    assert ("expected", REASON["packing"], True) == (found.result, found.message, found.good)
    check_block(WRONG, checks=["packing"], expected=REASON)


def test_a_pass_that_is_not_expected() -> None:
    """Is a failure: the reason no longer holds."""
    (found,) = run_checks(Honest(), checks=["packing"], expected=REASON)

    assert ("unexpected", False) == (found.result, found.good)
    with pytest.raises(
        ContractError, match="block 'honest' does not fail 'packing': it was expected to, because"
    ):
        check_block(Honest(), checks=["packing"], expected=REASON)


def made(code: str, samples: Any) -> Any:
    """The parameters that a test gets."""
    scope: dict[str, Any] = {}
    exec(code, scope)
    (mark,) = parametrize_with_checks(samples, REASON)(scope["test"]).pytestmark
    return mark.args[1]


@parametrize_with_checks([Honest()], expected=None)
def test_both(block: Honest, check: object) -> None:
    """The block and the check, as parameters."""
    assert "honest()" in repr(check)
    assert Honest() == block


@pytest.mark.parametrize("names", ["block, check", "check"])
def test_parameters(names: str) -> None:
    """Every check of every sample, at its site, under a name that says both."""
    params = made(f"def test({names}): pass", [Honest(), (WRONG, Site(reads=8, writes=8))])
    ids = [param.id for param in params]

    assert 2 * len(contract_checks()) == len(ids)
    assert {"honest()-packing", "honest(fault='IgnoresSegments')-packing"} <= set(ids)
    assert ["packing", "packing"] == [p.values[-1].name for p in params if p.marks]


def test_a_parameter_called() -> None:
    """A check is called by itself, or with the block."""
    params = made("def test(check): pass", [WRONG])
    held = {param.values[-1].name: param.values[-1] for param in params}

    held["rows"]()
    held["rows"](WRONG)
    with pytest.raises(ContractError):
        held["packing"]()
