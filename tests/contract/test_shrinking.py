"""Cases as data, and how one that fails becomes small."""

from __future__ import annotations

import time

import pytest

from composer import Site
from composer.testing import run_checks, shrinking
from composer.testing.bench import Bench
from composer.testing.cases import Case, smaller
from composer.testing.findings import Broken, Found, hold

from .faults.attention import Honest

SITE = Site(reads=12, writes=12)


def size(case: Case) -> int:
    """Whatever there is to leave out."""
    calls, forgotten = (
        sum(sum(counts) + len(counts) for counts in lists) for lists in (case.calls, case.forgotten)
    )
    return calls + forgotten + case.declared


SAID = [
    (Case.of(1, 1), "1 row of 1 token"),
    (Case.of(2, 7), "2 rows of 7 tokens"),
    (Case(((1, 3), (1, 1))), "2 rows of 1 and 3 tokens, right padding, second call of 1 token"),
    (Case(((1, 3),), side="left"), "2 rows of 1 and 3 tokens, left padding"),
    (Case(((2, 1),), packed=True), "1 row of 3 tokens, packed as 2 + 1 by segment_ids"),
    (
        Case(((3, 3), (1, 1)), forgotten=((2, 0), (0, 0))),
        "2 and 0 tokens forgotten again after the first call",
    ),
    (Case(((3, 3), (1, 1)), emptied=1), "second call of 1 token after row 1 is emptied"),
    (Case(((3,), (1,)), declared=True), "second call of 1 token, a cache for 4"),
    (Case(((1,),) * 7), "fifth call of 1 token, 6th call of 1 token, 7th call of 1 token"),
]


@pytest.mark.parametrize(("case", "words"), SAID)
def test_a_case_in_words(case: Case, words: str) -> None:
    """Enough to type it again."""
    assert words in str(case)


@pytest.mark.parametrize("case", [case for case, _ in SAID])
def test_smaller_cases(case: Case) -> None:
    """Each asks for less, brings tokens in every call, and forgets no more than it was given."""
    for less in smaller(case):
        assert size(less) < size(case)
        assert all(map(any, less.calls))
        assert all(count >= 0 for counts in less.kept for count in counts)


def test_alone() -> None:
    """One row without the others: what it forgets never came, an emptied one begins with the last call."""
    case = Case(((3, 4), (0, 2), (1, 1)), forgotten=((1, 0), (0, 0), (0, 0)), emptied=1)

    assert ((2,), (1,)) == case.alone(0).calls
    assert ((1,),) == case.alone(1).calls
    assert (3, 7) == case.lengths


def test_the_smallest() -> None:
    """A trial that fails for three tokens of two rows is left with exactly these."""

    def trial(bench: Bench, case: Case) -> None:
        if case.rows > 1 and case.most > 2:
            raise Broken("three tokens of two rows")

    bench = Bench(Honest(), SITE)
    with pytest.raises(Found) as found:
        hold(bench, trial, Case.of(5, 17, 8))
    small = shrinking.shrunk(bench, lambda bench: None, found.value)

    assert small.case
    assert (2, 3) == (small.case.rows, small.case.most)
    assert 4 == small.bench.site.reads


def test_another_error_is_another_fault() -> None:
    """A smaller case counts only where it fails in the same way."""

    def trial(bench: Bench, case: Case) -> None:
        if case.rows < 3:
            raise IndexError(case.rows)
        raise KeyError(case.rows)

    bench = Bench(Honest(), SITE)
    with pytest.raises(Found) as found:
        hold(bench, trial, Case.of(5, 4))
    small = shrinking.shrunk(bench, lambda bench: None, found.value)

    assert small.case == Case.of(3, 1)


def test_options_become_simple() -> None:
    """Left at their defaults, or smaller, where it fails all the same."""
    (found,) = run_checks(Honest(fault="IgnoresSegments", dropout=0.2), SITE, ["packing"])

    assert "with honest(fault='IgnoresSegments') in a stream of width 4" in (found.counterexample or "")


def test_time_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is not made small at any price."""
    monkeypatch.setattr(shrinking, "SECONDS", 0.05)

    def trial(bench: Bench, case: Case) -> None:
        time.sleep(0.02)
        raise Broken("always")

    bench, start = Bench(Honest(), SITE), time.monotonic()
    shrinking.smallest(shrinking.Counterexample(bench, Case.of(9, 99), Broken("always")), trial)

    assert time.monotonic() - start < 2
