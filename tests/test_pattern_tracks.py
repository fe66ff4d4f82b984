"""Tracks side by side, and the part of a pattern that takes what is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.pattern import Tracks, fill, parse, read_tracks, shortest
from composer.source import read_document

from .test_pattern import plain


def zipped(tracks: Tracks, layers: int | None = None, cut: bool = False) -> list[str]:
    """Every layer as the words of its tracks."""
    rows = tracks.expand(layers, "truncate" if cut else "error")
    return ["/".join(plain(tuple(row.values()))) for row in rows]


# pattern, layers, what it expands to
RESTS = [
    ("mlp×3, moe×rest", 5, "mlp mlp mlp moe moe"),
    ("moe×rest", 2, "moe moe"),
    ("(a, b)×rest, c", 5, "a b a b c"),
    ("a×rest+g, c", 4, "a a a+g c"),
    ("(a×rest+g)+h", 2, "a a+g+h"),
    ("((a, b×rest), c)", 4, "a b b c"),
    ("(b)x rest", 3, "b b b"),
]


@pytest.mark.parametrize(("text", "layers", "words"), RESTS)
def test_rest(text: str, layers: int, words: str) -> None:
    """What takes the rest makes the pattern as long as the model."""
    pattern = fill(parse(text), layers)
    assert words.split() == plain(pattern.expand())
    assert layers == pattern.length()


def test_a_pattern_without_rest_is_as_it_was() -> None:
    """Only a rest needs to be filled."""
    pattern = parse("a, b×2")
    assert pattern is fill(pattern, None)


@pytest.mark.parametrize(
    ("mixer", "ffn", "layers", "found"),
    [
        ("mamba×4, full, mamba×3", "mlp, moe", 32, {"mamba/mlp": 12, "mamba/moe": 16, "full/mlp": 4}),
        ("chunked×3, full(rope=none)", "moe", 48, {"chunked/moe": 36, "full/moe": 12}),
        ("mla", "mlp×3, moe×rest", 61, {"mla/mlp": 3, "mla/moe": 58}),
    ],
)
def test_published_models(mixer: str, ffn: str, layers: int, found: dict[str, int]) -> None:
    """Models that say mixer and feed-forward apart have their layers."""
    words = zipped(read_tracks({"mixer": mixer, "ffn": ffn}), layers)
    assert found == {word: words.count(word) for word in words}
    assert layers == len(words)


def test_each_track_cycles_on_its_own() -> None:
    """Guests ride where they were attached; without `layers` the longest track is the model."""
    tracks = read_tracks({"mixer": ["a", "b+g,", "c, d"], "ffn": "e, f+h"})
    assert ["a/e", "b+g/f+h", "c/e", "d/f+h"] == zipped(tracks)
    assert ["a/e", "b+g/f+h", "c/e", "d/f+h", "a/e"] == zipped(tracks, 5, cut=True)
    assert ("pattern", "ffn") == tracks.paths["ffn"]


def test_one_pattern_is_one_track() -> None:
    """A string and a list are the track `mixer`, under the key `pattern` itself."""
    for written in ("a, b", ["a", "b"]):
        tracks = read_tracks(written)
        assert ["a", "b"] == zipped(tracks)
        assert {"mixer": ("pattern",)} == tracks.paths
        assert not tracks.several


def test_words_of_a_track_know_their_place() -> None:
    """A place is inside the scalar of the track."""
    document = read_document("pattern:\n  mixer: a\n  ffn:\n  - b\n  - c, dd\n", "s.yaml")
    ffn = read_tracks(document.data["pattern"], document).patterns["ffn"]
    places = [ffn.place(word) for word in ffn.words()]
    assert [(4, 5, 1), (5, 5, 1), (5, 8, 2)] == [(p.line, p.column, p.width) for p in places if p]


WORDS = st.lists(st.sampled_from(["a", "b+g", "c"]), min_size=1, max_size=6)


@given(WORDS, WORDS, WORDS, st.integers(1, 40))
def test_layers_are_those_of_each_track(
    first: list[str], second: list[str], last: list[str], more: int
) -> None:
    """Layer i has the i-th word of every track, which begins anew at its end or repeats one part to the end."""
    layers = max(len(first), len(second), len(last)) + more
    third = [*last, *["d"] * (layers - len(last))]
    tracks = read_tracks({"mixer": first, "ffn": shortest(second), "third": f"{shortest(last)}, (d)×rest"})

    assert [
        "/".join((first[i % len(first)], second[i % len(second)], third[i])) for i in range(layers)
    ] == zipped(tracks, layers, cut=True)
