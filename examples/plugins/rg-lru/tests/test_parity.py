"""The block returns, remembers and learns what the module of transformers does."""

from __future__ import annotations

import functools
import random

import pytest
import torch

from .beside import CASES, Case, Pair, apart, distance

pair = functools.cache(Pair)
EVERY = pytest.mark.parametrize("case", CASES, ids=repr)


def sizes(tokens: int) -> list[int]:
    """Random parts of a text."""
    draw, found = random.Random(tokens), [0]
    while sum(found) < tokens:
        found.append(min(draw.randint(1, max(1, tokens // 2)), tokens - sum(found)))
    return found[1:]


@EVERY
def test_at_once(case: Case) -> None:
    """All tokens in one call."""
    both = pair(case)
    assert distance(both.called([case.tokens]), both.expected([case.tokens])) <= both.tolerance


@EVERY
def test_one_by_one(case: Case) -> None:
    """Single tokens that continue a cache, on both sides."""
    both = pair(case)
    assert distance(both.called(case.singles), both.expected(case.singles)) <= both.tolerance


@EVERY
def test_in_parts(case: Case) -> None:
    """Parts that continue a cache are as theirs at once: theirs cannot continue with several tokens."""
    both = pair(case)
    assert distance(both.called(sizes(case.tokens)), both.expected([case.tokens])) <= both.tolerance


@EVERY
def test_gradients(case: Case) -> None:
    """Of every weight and of the input; they may be apart three times as far as theirs are from float64."""
    both = pair(case)
    ours, theirs, exact = both.gradients(), both.expected_gradients(), both.expected_gradients(torch.float64)
    assert list(theirs) == list(ours)
    for name, expected in theirs.items():
        tolerance = max(1e-5, 3 * apart(exact[name], expected))
        assert apart(ours[name], expected) <= tolerance, name


@EVERY
def test_in_float64(case: Case) -> None:
    """Where rounding hides nothing: outputs and gradients."""
    both, wide = pair(case), torch.float64
    with torch.no_grad():
        ours = both.model().to(wide)(both.x.to(wide))
    assert apart(ours, both.expected([case.tokens], wide)[0]) <= 1e-11
    expected, found = both.expected_gradients(wide), both.gradients(wide)
    assert all(apart(found[name], expected[name]) <= 1e-9 for name in expected)


def test_where_almost_all_is_kept() -> None:
    """Decays so near 1 that float32 holds no difference: gradients are bounded as theirs, and exact."""
    both, wide = Pair(Case(16, 16, 4, tokens=20, keeps=20.0)), torch.float64
    exact = both.expected_gradients(wide)
    ours, found, theirs = both.gradients(), both.gradients(wide), both.expected_gradients()
    for name, expected in exact.items():
        assert apart(found[name], expected) <= 1e-9, name
        assert apart(ours[name], expected) <= 1e-5, name
    assert apart(theirs["conv"], exact["conv"]) > 1e-3
