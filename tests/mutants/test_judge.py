"""The judge of mutants says no where it should: a judge that never does proves nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import torch

from composer.errors import Problem, SpecError, fail

from . import judge


def crash() -> NoReturn:
    raise KeyError("kind")


def leave() -> NoReturn:
    raise SystemExit(1)


def hang() -> NoReturn:
    """Whatever catches exceptions in here does not catch the clock."""
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


FINDINGS: dict[str, Callable[[], Any]] = {
    "KeyError: 'kind'": crash,
    "SystemExit: 1": leave,
    "took more than": hang,
    "without a problem": lambda: (_ for _ in ()).throw(SpecError()),
    "without a code or a sentence": lambda: fail(SpecError, "", "something"),
    "without a code or a sentence: ": lambda: fail(SpecError, "E301", " "),
    "a message of": lambda: (_ for _ in ()).throw(SpecError(*[Problem("E301", "a" * 1999)] * 1000)),
}


@pytest.mark.parametrize("expected", FINDINGS)
def test_findings(expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but success and a sound error of ours is a finding."""
    monkeypatch.setattr(judge, "MOST_SECONDS", 0.1)
    with pytest.raises(judge.Finding) as caught:
        judge.outcome(FINDINGS[expected])
    assert expected in str(caught.value)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not say how large a process is"
)
def test_memory_is_a_finding() -> None:
    """What would take two gibibytes does not get them."""
    with judge.little_memory(), pytest.raises(judge.Finding, match="allocate memory"):
        judge.outcome(lambda: torch.empty(2 << 30, dtype=torch.uint8))


def test_fine_and_refused() -> None:
    """Success and errors are told apart by their codes."""
    assert "fine" == judge.outcome(lambda: None)
    assert "E301" == judge.outcome(lambda: fail(SpecError, "E301", "something"))
