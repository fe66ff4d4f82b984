"""What is told of a failure: where the block's own code raised, what the root is, and the options in short."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import composer
from composer import Block, Declared, Rope, Site
from composer.nn import At, Mixer
from composer.testing import ContractError, check_block, checks, contract_checks, run_checks
from composer.testing.shrinking import described

from .faults.attention import Honest

HERE = Path(__file__)
BAD_LINE = "return flattened.view(len(x), 3)"


class Folds(Block):
    """Fails for a single token, in a function below forward."""

    kind: ClassVar[str] = "folds"
    fault: str = "view"

    def declares(self, site: Site) -> Declared:
        return Declared()

    def build(self, site: Site) -> Mixer:
        return FoldsModule(self.fault)


class FoldsModule(Mixer):
    """Of more tokens it returns what it reads."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        if self.fault == "assert":
            assert x.shape[1] > 1, "too few"
        return folded(x) if x.shape[1] == 1 else x


def folded(x: torch.Tensor) -> torch.Tensor:
    """The line that is told."""
    flattened = x.flatten()
    return flattened.view(len(x), 3)


def line_of(code: str) -> str:
    """Where code stands in this file, as a failure names it."""
    number = next(n for n, line in enumerate(HERE.read_text().splitlines(), 1) if line.strip() == code)
    return f"test_places.py:{number}: {code}"


@pytest.mark.parametrize(
    ("fault", "says", "code"),
    [
        ("view", "it raised RuntimeError: ", BAD_LINE),
        ("assert", "too few, at ", 'assert x.shape[1] > 1, "too few"'),
    ],
)
def test_where_a_block_raised(fault: str, says: str, code: str) -> None:
    """Its innermost own line, in the message; what it raised is the cause, with its traceback."""
    (found,) = run_checks(Folds(fault=fault), checks=["shape"])
    with pytest.raises(ContractError) as caught:
        check_block(Folds(fault=fault))

    assert says in found.message
    assert found.message.endswith(line_of(code))
    assert "fed  1 row of 1 token" in (found.counterexample or "")
    assert found.message in str(caught.value)
    assert caught.value.__cause__ is not None
    assert code in "".join(traceback.format_exception(caught.value))


def test_a_finding_has_no_place() -> None:
    """What the kit found by comparing was raised by nobody."""
    (found,) = run_checks(Honest(fault="IgnoresSegments"), checks=["packing"])

    assert found.cause is None
    assert ".py" not in found.message


def test_the_root() -> None:
    """Of a block that fails in every call, `shape` is told alone, and every other check names it."""
    names = [name for name in contract_checks() if name != "compiling"]
    failed = [each for each in run_checks(Folds(), checks=names) if not each.good and each.check != "options"]
    with pytest.raises(ContractError) as caught:
        check_block(Folds(), checks=names)

    assert {"shape", "memory", "steps"} <= {each.check for each in failed}
    assert ["shape"] == [problem.path for problem in caught.value.problems]
    assert {"mend 'shape' first, on which this stands"} == {
        each.hint for each in failed if each.check != "shape"
    }
    assert "first" not in caught.value.problems[0].hint


def test_a_hint_names_no_check_that_names_another() -> None:
    """Neither what all stands on nor what asks for less."""
    for fault in ("LooksFurther", "CountsFromTheEnd", "Raises", "MixesRows"):
        found = {each.check: each for each in run_checks(Honest(fault=fault), checks=CHEAP)}
        for outcome in found.values():
            named = [
                name
                for name in CHEAP
                if f"{name!r}" in (outcome.hint or "") and "first" in (outcome.hint or "")
            ]
            assert all("first" not in (found[name].hint or "") for name in named)


CHEAP = [
    *checks.BASIS,
    "repeats",
    "dropout",
    "sees_no_more",
    "rows",
    "padding",
    "chunks",
    "steps",
    "ragged",
    "crop",
]


def test_a_mask_of_ones_own() -> None:
    """The hint for packed rows says what such a mask has to compare."""
    (found,) = run_checks(Honest(fault="IgnoresSegments"), checks=["packing"])

    assert "a mask of your own" in (found.hint or "")
    assert "compares at.step.segments" in (found.hint or "")


def test_options_of_options() -> None:
    """Print as they were set, without what is as by default."""
    attention = composer.catalog()["attention"]
    block = attention.model_validate({"num_attention_heads": 2, "rope": {"theta": 5.0}})
    plain = attention.model_validate({"num_attention_heads": 2, "rope": {}})

    assert Rope(theta=5.0) == block.rope  # type: ignore[attr-defined]  # an option of this kind
    assert "attention(num_attention_heads=2, rope=Rope(theta=5.0))" == described(block)
    assert "attention(num_attention_heads=2, rope=Rope())" == described(plain)
