"""The inverse of expansion: patterns from flat lists of words, as short as can be."""

from __future__ import annotations

import random
import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.pattern import Word, fmt, parse, shortest, shortest_cycle

from .test_pattern import PUBLISHED

# A few words, so that lists of them repeat; guests in two orders, arguments, and values that only look equal.
WORDS = ["a", "b", "a+g", "a+g+h", "b+h", "a(k=1)", "a(k=1.0)", "a(k=true)+g(j='x, y')"]


def plain(text: str) -> list[str]:
    """Each layer of a pattern as a pattern of its own."""
    return [fmt_word(word) for word in parse(text).expand()]


def fmt_word(word: Word) -> str:
    return shortest([word])


@st.composite
def layers(draw: st.DrawFn) -> list[str]:
    """Words with repeats in them, cut somewhere and changed in one place."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 3))):
        more = draw(st.lists(st.sampled_from(WORDS), max_size=3))
        words = [*words * draw(st.integers(1, 4)), *more][: draw(st.integers(1, 40))]
    words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(WORDS))
    return words


@given(layers())
def test_expansion_is_undone(words: list[str]) -> None:
    """The pattern expands to the words that it was made of, and is in canonical form."""
    text = shortest(words)
    assert words == plain(text)
    assert text == fmt(parse(text))


@given(layers())
def test_cycles_are_undone(words: list[str]) -> None:
    """The pattern cycles to the words, and is no longer than the one that does not cycle."""
    text, remainder = shortest_cycle(words)
    once = plain(text)
    assert words == (once * len(words))[: len(words)]
    assert remainder == "truncate" or len(words) % len(once) == 0
    assert len(text) <= len(shortest(words))


@cache
def least(words: tuple[str, ...]) -> int:
    """The length of the shortest pattern, by trying every first term: slow, and plain to see."""
    return min(
        term(words[:end]) + (2 + least(words[end:]) if end < len(words) else 0)
        for end in range(1, len(words) + 1)
    )


@cache
def term(words: tuple[str, ...]) -> int:
    """The length of the shortest single term; a guest may ride on the word or on the whole."""
    lengths = [repeated(words)]
    *_, last = words
    if "+" in last:
        bare, _, guest = last.rpartition("+")
        lengths.append(term((*words[:-1], bare)) + len(f"+{guest}"))
    return min(lengths)


def repeated(words: tuple[str, ...]) -> int:
    """The length of the shortest repeat, or of a word."""
    lengths = [len(words[0])] if len(words) == 1 else [10**9]
    for period in (p for p in range(1, len(words)) if len(words) % p == 0):
        if words == words[:period] * (len(words) // period):
            bare = period == 1 and "+" not in words[0]
            inner = len(words[0]) if bare else least(words[:period]) + 2
            lengths.append(inner + len(f"×{len(words) // period}"))
    return min(lengths)


@given(st.lists(st.sampled_from(["a", "b", "a+g", "a+g+h"]), min_size=1, max_size=14))
def test_nothing_is_shorter(words: list[str]) -> None:
    """No pattern of the grammar is shorter."""
    assert least(tuple(words)) == len(shortest(words))


@pytest.mark.parametrize(
    "text", [row[0] for row in PUBLISHED] + ["mamba×4, full, mamba×3", "mlp, moe", "mlp×3, moe×58"]
)
def test_published_patterns(text: str) -> None:
    """The patterns of published models come out at most as long as people write them."""
    assert len(fmt(parse(text))) >= len(shortest(parse(text).expand()))


CYCLES = [
    ("full, swa×3", 36, "error"),
    ("mamba×6+shared-attn", 38, "truncate"),
    ("swa×5, full", 62, "truncate"),
    ("opt", 12, "error"),
]


@pytest.mark.parametrize(("text", "count", "remainder"), CYCLES)
def test_published_cycles(text: str, count: int, remainder: str) -> None:
    """A model whose last cycle is cut is told so where that is shorter."""
    words = (plain(text) * count)[:count]
    assert (text, remainder) == shortest_cycle(words)


HARD = {
    "equal": ["a"] * 256,
    "guests": ["a+g"] * 256,
    "pairs": ["a", "b"] * 128,
    "last": ["a"] * 255 + ["a+g"],
    "halves": ["a"] * 127 + ["b"] + ["a"] * 128,
    "random": [random.Random(7).choice("ab") for _ in range(256)],
    "different": [f"a{number}" for number in range(256)],
}


@pytest.mark.parametrize("words", HARD.values(), ids=HARD)
def test_no_list_is_slow(words: list[str]) -> None:
    """The longest lists that are searched take well below a second."""
    start = time.process_time()
    text = shortest(words)
    assert time.process_time() - start < 0.8
    assert words == plain(text)


def test_runs_beyond() -> None:
    """Longer lists fold runs of equal words, in time that grows with their length."""
    words = (["a"] * 40 + ["b+g"] * 3 + ["c"]) * 20
    text = shortest(words)
    assert words == plain(text)
    assert ", ".join(["a×40, (b+g)×3, c"] * 20) == text
