"""The pattern language against a second, naive reading of it, and against single edits of valid patterns."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import Problem, SpecError
from composer.pattern import MAX_LAYERS, Pattern, cycle, fmt, parse

from . import prove

MUTANTS = prove.cases(2_000, 20_000)
NAMES = st.sampled_from(["a", "b", "full", "shared-attn", "mambax6", "_", "X", "xx", "a-1-b"])
VALUES = ["1", "-2.5", "1e-5", "true", "null", "none", "'x, y'", '"(×"', "''"]
SPACES = st.sampled_from(["", "", "", " ", "\n", " \t\r\n "])


@dataclass
class Piece:
    """A stretch of pattern text and the layers that it must mean, each a tuple of block texts."""

    text: str
    layers: list[tuple[str, ...]]


@st.composite
def blocks(draw: st.DrawFn) -> str:
    keys = draw(st.lists(st.sampled_from(["k", "x", "rest", "rope_theta"]), max_size=2, unique=True))
    given_ = ",".join(f"{key}={draw(st.sampled_from(VALUES))}" for key in keys)
    return draw(NAMES) + (f"({given_})" if given_ else "")


@st.composite
def terms(draw: st.DrawFn, depth: int) -> Piece:
    """One term: a block or a group, maybe repeated, maybe with guests on its last layer."""
    space = draw(SPACES)
    if depth and draw(st.booleans()):
        inner = draw(patterns(depth - 1))
        text, layers = f"({space}{inner.text}{space})", inner.layers
    else:
        block = draw(blocks())
        text, layers = block, [(block,)]
    count = draw(st.sampled_from([1, 1, 2, 3, 7]))
    if count > 1 or draw(st.integers(0, 9)) == 0:
        sign = draw(st.sampled_from(["×", "*", " x"]))
        text, layers = f"{text}{space}{sign}{space}{count}", layers * count
    for guest in draw(st.lists(blocks(), max_size=2)):
        text = f"{text}{space}+{space}{guest}"
        layers = [*layers[:-1], (*layers[-1], guest)]
    return Piece(text, layers)


@st.composite
def patterns(draw: st.DrawFn, depth: int = 3) -> Piece:
    """Terms joined by commas."""
    parts = draw(st.lists(terms(depth), min_size=1, max_size=3))
    space, end = draw(SPACES), draw(st.sampled_from(["", ","]))
    layers = [layer for part in parts for layer in part.layers]
    return Piece(f"{space},{space}".join(part.text for part in parts) + end, layers)


def written(pattern: Pattern, text: str) -> list[tuple[str, ...]]:
    """The layers of a pattern, each block as it stands in the text."""
    return [tuple(text[each.start : each.end] for each in (word, *word.guests)) for word in pattern.expand()]


@given(patterns())
def test_expansion(piece: Piece) -> None:
    """Every pattern means what repeating and joining lists means; its length is known without expanding."""
    pattern = parse(piece.text)
    assert piece.layers == written(pattern, piece.text)
    assert len(piece.layers) == pattern.length()


@given(patterns())
def test_format(piece: Piece) -> None:
    """The canonical form expands to the same layers, is stable, and stands on one line."""
    pattern = parse(piece.text)
    canonical = fmt(pattern)
    assert pattern.expand() == parse(canonical).expand()
    assert canonical == fmt(parse(canonical))
    assert "\n" not in canonical


@pytest.mark.parametrize("once", range(1, 13))
def test_cycle(once: int) -> None:
    """Layer i is word i modulo the pattern; a remainder and a short model are told apart."""
    words = parse(", ".join(f"b{index}" for index in range(once))).expand()
    for layers in range(1, 40):
        kind = "E210" if layers < once else "E209" if layers % once else ""
        refused, found = "", ()
        try:
            found = cycle(words, layers, "error" if kind == "E210" else "truncate")
            cycle(words, layers)
        except SpecError as error:
            refused = error.code
        assert kind == refused
        assert [words[index % once] for index in range(layers if kind != "E210" else 0)] == [*found]


SEEDS = [
    "full,swa,swa,swa",
    "mamba, (mamba×6+shared-attn)×7, mamba×5+shared-attn, mamba×2",
    "(mamba,mlp)×3, full(rope=none, window=12), ((a,b)*4, c x2)×3,",
    "a(k='x, y', j=1e-5) + b(z=true)\n+ c , (d)",
    "a, (b,c)×rest+d, (e*2)x3",
]
SPICE = "abx06×*+,()='\".#-_ \n\t，（）＊＋＝é\x00\x1f\u3000"


def mutant(draw: random.Random) -> tuple[str, int]:
    """A valid pattern with one character removed, replaced, doubled or put in, and where."""
    text = draw.choice(SEEDS)
    at = draw.randrange(len(text))
    new = draw.choice(["", draw.choice(SPICE), text[at] * 2, text[at] + draw.choice(SPICE)])
    return text[:at] + new + text[at + 1 :], at


def read(text: str) -> tuple[Pattern | None, tuple[Problem, ...]]:
    try:
        return parse(text), ()
    except SpecError as error:
        return None, error.problems


def offset(text: str, problem: Problem) -> int:
    assert problem.place
    return (
        sum(len(line) + 1 for line in text.split("\n")[: problem.place.line - 1]) + problem.place.column - 1
    )


def test_single_edits() -> None:
    """One edit leaves a pattern that is read, or errors with a place inside it; nothing else is raised."""
    draw, refused = random.Random(5), 0
    for _ in range(MUTANTS):
        text, _ = mutant(draw)
        pattern, problems = read(text)
        refused += pattern is None
        for problem in problems:
            assert problem.code.startswith("E2")
            assert 0 <= offset(text, problem) <= len(text)
        if pattern:
            assert len(pattern.expand()) == pattern.length() <= MAX_LAYERS
            assert pattern.expand() == parse(fmt(pattern)).expand()
    assert MUTANTS // 4 < refused < MUTANTS
    prove.counted("an edited pattern is read or refused with a place, never a traceback", MUTANTS)
