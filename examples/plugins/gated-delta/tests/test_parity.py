"""The block returns, remembers and learns what the module of transformers does."""

from __future__ import annotations

import functools
import random

import pytest

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
    both, single = pair(case), [1] * case.tokens
    assert distance(both.called(single), both.expected(single)) <= both.tolerance


@EVERY
def test_in_parts(case: Case) -> None:
    """Parts that continue a cache: as theirs in the same parts, and as theirs at once."""
    both, parts = pair(case), sizes(case.tokens)
    ours = both.called(parts)
    assert distance(ours, both.expected(parts)) <= both.tolerance
    assert distance(ours, both.expected([case.tokens])) <= both.tolerance


@EVERY
def test_gradients(case: Case) -> None:
    """Of every weight and of the input; they may be apart three times as far as theirs are in other chunks."""
    both = pair(case)
    ours, theirs, other = both.gradients(), both.expected_gradients(), both.expected_gradients(chunk=16)
    assert list(theirs)[1:] == list(ours)[1:]
    for name, expected in theirs.items():
        tolerance = max(1e-5, 3 * apart(other[name], expected))
        assert apart(ours[name], expected) <= tolerance, name
