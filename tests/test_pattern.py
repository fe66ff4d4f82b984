"""The layer pattern: what it expands to, its canonical form, cycling, and where its words stand."""

from __future__ import annotations

import time

import pytest

from composer.errors import SpecError
from composer.pattern import Word, cycle, fmt, hint_for_unknown, parse, read_pattern
from composer.source import read_document


def plain(words: tuple[Word, ...]) -> list[str]:
    """Words as `host+guest+guest`."""
    return ["+".join([word.name, *(guest.name for guest in word.guests)]) for word in words]


# what is written, its canonical form, the layers
PATTERNS = [
    ("swa", "swa", "swa"),
    ("full,swa,swa,swa", "full, swa, swa, swa", "full swa swa swa"),
    ("a×3", "a×3", "a a a"),
    ("a*3", "a×3", "a a a"),
    ("a x3", "a×3", "a a a"),
    ("a x 3", "a×3", "a a a"),
    ("a × 3", "a×3", "a a a"),
    ("(a,b)x2", "(a, b)×2", "a b a b"),
    ("(a,b)x 2", "(a, b)×2", "a b a b"),
    ("a(k=1)x2", "a(k=1)×2", "a a"),
    ("a×1", "a", "a"),
    ("a,", "a", "a"),
    ("(a,b,)×2,", "(a, b)×2", "a b a b"),
    (" \n a ,\n\t b \r\n", "a, b", "a b"),
    ("a+g", "a+g", "a+g"),
    ("a×3+g", "a×3+g", "a a a+g"),
    ("a×3+g+h", "a×3+g+h", "a a a+g+h"),
    ("(a+g)×3", "(a+g)×3", "a+g a+g a+g"),
    ("(a,b)×2+g", "(a, b)×2+g", "a b a b+g"),
    ("(a,b+h)×2+g", "(a, b+h)×2+g", "a b+h a b+h+g"),
    ("(a,b)+g", "a, b+g", "a b+g"),
    ("(a,b×2)+g", "a, b×2+g", "a b b+g"),
    ("(a,b+h)+g", "a, b+h+g", "a b+h+g"),
    ("a, b*rest", "a, b×rest", "a"),
    ("a, (b,c) x rest+g", "a, (b, c)×rest+g", "a"),
    ("(a,(b x rest)), c", "a, b×rest, c", "a c"),
    ("((a))", "a", "a"),
    ("((a))×2", "a×2", "a a"),
    ("(a×2)×2", "(a×2)×2", "a a a a"),
    ("((a,b))×2", "(a, b)×2", "a b a b"),
    ("((a,b)×2)×2", "((a, b)×2)×2", "a b a b a b a b"),
    ("((a+g))×2+h", "(a+g)×2+h", "a+g a+g+h"),
    ("(a,(b,c))×2", "(a, b, c)×2", "a b c a b c"),
    ("mambax6", "mambax6", "mambax6"),
    (
        "xx, x_6, x6a, X, restful, shared-attn",
        "xx, x_6, x6a, X, restful, shared-attn",
        "xx x_6 x6a X restful shared-attn",
    ),
    ("a-x6, b-2-c, _", "a-x6, b-2-c, _", "a-x6 b-2-c _"),
]


@pytest.mark.parametrize(("text", "canonical", "layers"), PATTERNS)
def test_patterns(text: str, canonical: str, layers: str) -> None:
    """Each pattern has one meaning, a length that is its number of layers, and one canonical form."""
    pattern = parse(text)
    assert layers.split() == plain(pattern.expand())
    assert len(layers.split()) == pattern.length()
    assert canonical == fmt(pattern)
    assert canonical == fmt(parse(canonical))
    assert pattern.expand() == parse(canonical).expand()


# pattern, layers, remainder; where guests ride, how often each word stands
PUBLISHED = [
    ("swa", 32, "error", [], {"swa": 32}),
    ("full,swa,swa,swa", 36, "error", [], {"full": 9, "swa": 27}),
    ("mamba×6+shared-attn", 38, "truncate", [5, 11, 17, 23, 29, 35], {"mamba": 38}),
    (
        "mamba, (mamba×6+shared-attn)×7, mamba×5+shared-attn, mamba×4+shared-attn, mamba×2",
        54,
        "error",
        [6, 12, 18, 24, 30, 36, 42, 47, 51],
        {"mamba": 54},
    ),
    (
        "mamba×7+shared-attn, mamba×5+shared-attn, (mamba×6+shared-attn)×11, mamba×3",
        81,
        "error",
        [6, 11, 17, 23, 29, 35, 41, 47, 53, 59, 65, 71, 77],
        {"mamba": 81},
    ),
    ("opt", 12, "error", [], {"opt": 12}),
    ("swa×5, full", 62, "truncate", [], {"swa": 52, "full": 10}),
    (
        "(mamba,mlp)×3, mamba, full, mlp, ((mamba,mlp)×4, mamba, full, mlp)×3, (mamba,mlp)×5",
        52,
        "error",
        [],
        {"mamba": 24, "mlp": 24, "full": 4},
    ),
    ("chunked×3, full(rope=none)", 48, "error", [], {"chunked": 36, "full": 12}),
]


@pytest.mark.parametrize(("text", "layers", "remainder", "guests", "counts"), PUBLISHED)
def test_published_models(
    text: str, layers: int, remainder: str, guests: list[int], counts: dict[str, int]
) -> None:
    """Published models have their layers, and their shared blocks ride where the checkpoints say."""
    words = cycle(parse(text).expand(), layers, "truncate" if remainder == "truncate" else "error")
    assert layers == len(words)
    assert guests == [index for index, word in enumerate(words) if word.guests]
    assert counts == {name: sum(word.name == name for word in words) for name in counts}


ARGUMENTS = [
    ("k=1", {"k": 1}, "k=1"),
    ("k=-3", {"k": -3}, "k=-3"),
    ("k=1e-5", {"k": 1e-5}, "k=1e-5"),
    ("k=1.0e+4", {"k": 1e4}, "k=10000.0"),
    ("k=1e+300", {"k": 1e300}, "k=1e+300"),
    ("k=.5", {"k": 0.5}, "k=0.5"),
    ("k=10_000", {"k": 10000}, "k=10000"),
    ("k=true, j=false,i=null", {"k": True, "j": False, "i": None}, "k=true, j=false, i=null"),
    ("k=none", {"k": "none"}, "k=none"),
    ("k=gelu_new.v2-x", {"k": "gelu_new.v2-x"}, "k=gelu_new.v2-x"),
    ("k='12'", {"k": "12"}, "k='12'"),
    ('k="true"', {"k": "true"}, "k='true'"),
    ("k='a, b) + ×，'", {"k": "a, b) + ×，"}, "k='a, b) + ×，'"),
    ('k="it\'s"', {"k": "it's"}, 'k="it\'s"'),
    ("k=''", {"k": ""}, "k=''"),
    (" k =\n1 , rope = none ", {"k": 1, "rope": "none"}, "k=1, rope=none"),
    ("x=1, rest=2, x6=3", {"x": 1, "rest": 2, "x6": 3}, "x=1, rest=2, x6=3"),
]


@pytest.mark.parametrize(("text", "arguments", "canonical"), ARGUMENTS)
def test_arguments(text: str, arguments: dict[str, object], canonical: str) -> None:
    """Arguments are plain values of the type that they look like, and are written back so."""
    pattern = parse(f"a({text})×2+g({text}), b")
    first, last, _ = pattern.expand()
    assert arguments == first.arguments
    assert list(map(type, arguments.values())) == list(map(type, first.arguments.values()))
    assert arguments == last.guests[0].arguments
    assert f"a({canonical})×2+g({canonical}), b" == fmt(pattern)


def test_words_know_their_place() -> None:
    """A word gives its offsets, with and without arguments, also after expansion."""
    text = "a, (bb(k=1) ×2+ccc)×2"
    pattern = parse(text)
    assert ["a", "bb(k=1)", "ccc"] == [text[word.start : word.end] for word in pattern.words()]
    _, word, _ = pattern.words()
    place, name = pattern.place(word), pattern.place(word, name_only=True)
    assert place
    assert name
    assert (5, 7, 5, 2) == (place.column, place.width, name.column, name.width)
    assert word.start == pattern.expand()[-1].start


def test_a_list_is_joined_by_commas() -> None:
    """Strings of a list make one pattern; each error points into its own string."""
    document = read_document("pattern:\n- a×2,\n- (b\n- 'c)×2, '\n- >-\n  d,\n  e\n", "s.yaml")
    pattern = read_pattern(document.data["pattern"], document)
    assert ["a", "a", "b", "c", "b", "c", "d", "e"] == plain(pattern.expand())
    places = [pattern.place(word) for word in pattern.words()]
    assert [(2, 3), (3, 4), (4, 4), (6, 3), (7, 3)] == [(p.line, p.column) for p in places if p]


def test_errors_point_inside_the_scalar() -> None:
    """The place is the line and column of the YAML file, in a folded scalar too."""
    document = read_document("a: 1\npattern: >-\n  mamba×6,\n\n  full ×0, x\n", "s.yaml")
    with pytest.raises(SpecError) as caught:
        read_pattern(document.data["pattern"], document)
    assert ["s.yaml:5:9", "s.yaml:5:12"] == [str(problem.place) for problem in caught.value.problems]
    assert "    5 |   full ×0, x\n      |         ^" in str(caught.value)


def test_without_layers_the_pattern_is_the_model() -> None:
    """`layers` is optional, and equal to the pattern it changes nothing."""
    words = parse("a, b").expand()
    assert words == cycle(words)
    assert words == cycle(words, 2)
    assert words * 3 == cycle(words, 6)


@pytest.mark.parametrize("text", ["((a×999)×999)×999", "(" * 30 + "a" + "×9999)" * 30, f"a×{'9' * 9000}"])
def test_bombs_cost_nothing(text: str) -> None:
    """Lengths are computed, not tried."""
    start = time.process_time()
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert ["E206"] == [problem.code for problem in caught.value.problems]
    assert time.process_time() - start < 0.1


def test_the_longest_pattern() -> None:
    """10,000 layers are allowed."""
    assert 10_000 == len(parse("(a×99, b)×100").expand())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mambax6", "write mamba×6, mamba*6 or 'mamba x6'"),
        ("mamba-x6", "write mamba×6, mamba*6 or 'mamba x6'"),
        ("shared-attnx2", "write shared-attn×2, shared-attn*2 or 'shared-attn x2'"),
        ("mamab", "did you mean 'mamba'?"),
        ("mambax0", "did you mean 'mamba'?"),
        ("zzz", ""),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    """A repeat glued to a name is explained; otherwise the nearest name is offered."""
    assert hint == hint_for_unknown(name, ["mamba", "shared-attn", "full"])
