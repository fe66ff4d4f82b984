"""Weight maps: rows with variables, expanded over a model's names and met with a checkpoint's."""

from __future__ import annotations

import pytest

import composer
from composer.layout.family import family_named
from composer.layout.frame import Frame
from composer.layout.match import Match, match_names
from composer.layout.names import folded
from composer.layout.ops import Op
from composer.layout.patterns import numbers_in
from composer.layout.rows import Row, WeightMap, When, expand_rows, own_names

MAP = WeightMap(
    (
        Row("embed", ("m.table", "m.embed")),
        Row("layers.{i}.w", ("m.l.{i}.a",)),
        Row("layers.{i}.parts.{e}.w", ("m.l.{i}.p{e}.a",)),
        Row("head", ("out",), tied="embed"),
    ),
    ignore=("m.l.{i}.inv",),
    prefix="m.",
)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a.{i}.b", "a.10.b", {"i": "10"}),
        ("a.{i}.{j}", "a.0.7", {"i": "0", "j": "7"}),
        ("a.{i}.{i}", "a.3.3", {"i": "3"}),
        ("a.{i}.{i}", "a.3.4", None),
        ("a.{i}", "a.01", None),
        ("a.{i}", "a.-1", None),
        ("a.{i}", "a.x", None),
        ("a.b", "axb", None),
        ("a.b", "a.b.c", None),
        ("a", "a", {}),
    ],
)
def test_names_of_a_pattern(pattern: str, name: str, expected: dict[str, str] | None) -> None:
    """A variable is a whole number as one writes it, the same wherever it stands; a dot is a dot."""
    assert expected == numbers_in(pattern, name)


def test_each_parameter_has_one_row() -> None:
    """Rows come in the order of the parameters, with numbers filled in on both sides."""
    rows = expand_rows(MAP, ["layers.2.parts.1.w", "embed"])

    assert [Row("layers.2.parts.1.w", ("m.l.2.p1.a",)), Row("embed", ("m.table", "m.embed"))] == rows


def test_meeting_a_checkpoint() -> None:
    """Filled, equal, missing and unexpected, all in one look."""
    stored = ["m.embed", "m.table", "m.l.0.a", "m.l.0.inv", "out", "m.l.0.b", "m.l.x.inv"]
    match = match_names(MAP, ["embed", "layers.0.w", "layers.1.w"], stored)

    assert {"embed": "m.table", "layers.0.w": "m.l.0.a"} == match.filled
    assert [("m.table", "m.embed"), ("m.table", "out")] == match.equal
    assert ["m.l.1.a"] == match.missing
    assert ["m.l.0.b", "m.l.x.inv"] == match.unexpected


def test_a_head_of_its_own_is_no_copy() -> None:
    """What stands in for a missing parameter does so only when it is missing."""
    match = match_names(MAP, ["embed", "head"], ["m.table", "out"])

    assert Match({"embed": "m.table", "head": "out"}) == match


def test_without_the_prefix() -> None:
    """One name with the prefix is enough to expect it of all."""
    bare = match_names(MAP, ["embed", "layers.0.w"], ["table", "l.0.a", "l.0.inv"])
    mixed = match_names(MAP, ["embed", "layers.0.w"], ["m.table", "l.0.a"])

    assert Match({"embed": "table", "layers.0.w": "l.0.a"}) == bare
    assert (["m.l.0.a"], ["l.0.a"]) == (mixed.missing, mixed.unexpected)


def test_a_part_of_the_model() -> None:
    """Without the head, its tensor is passed over; a stranger still is one, and so is a layer too many."""
    match = match_names(MAP, ["embed"], ["m.table", "out", "m.l.4.a", "m.new"], whole=False)

    assert ["m.l.4.a", "m.new"] == match.unexpected


def test_our_own_layout() -> None:
    """Every tensor has the name of its parameter."""
    assert Match({"a": "a"}, [], ["b"], ["c"]) == match_names(own_names(["a", "b"]), ["a", "b"], ["a", "c"])


def test_published_names_of_a_whole_model() -> None:
    """The map is one to one on the 291 tensors of Mistral-7B, and covers every one of them."""
    plan = composer.resolve(composer.read_spec("mistral-7b-v0.1"))
    rows = expand_rows(family_named("mistral").weights_of(plan), plan.parameters())
    theirs = [row.theirs[0] for row in rows]

    assert 291 == len(rows) == len(set(theirs))
    assert "model.layers.31.self_attn.q_proj.weight" in theirs
    assert list(plan.parameters()) == [row.ours for row in rows]


SHARED = Frame(
    words=("m", "m", "m", "m"),
    guests=((), ("g",), ("g",), ("g",)),
    uses={"g": ((1, 0), (2, 1), (3, 0))},
    head="causal-lm",
)


def test_a_shared_word_in_names() -> None:
    """A copy is found under every layer that uses it, what belongs to a use by the number of the use."""
    rows = (
        Row("shared.g.{c}.w", ("l.{use}.b{c}.w",)),
        Row("layers.{i}.g.w", ("l.{use}.own.{k}.w",)),
        Row("layers.{i}.m.w", ("l.{i}.inner.w",), when=When(guest="g")),
        Row("layers.{i}.m.w", ("l.{i}.w",), when=When(word="m")),
    )
    names = ["shared.g.0.w", "shared.g.1.w", "layers.3.g.w", "layers.0.m.w", "layers.2.m.w"]
    found = expand_rows(WeightMap(rows, frame=SHARED), names)

    expected = [
        ("l.1.b0.w", "l.3.b0.w"),
        ("l.2.b1.w",),
        ("l.1.own.2.w", "l.3.own.2.w"),
        ("l.0.w",),
        ("l.2.inner.w",),
    ]
    assert expected == [row.theirs for row in found]


def test_the_copies_of_a_shared_tensor_meet() -> None:
    """The first name that is there fills the parameter, whichever it is; the others must agree."""
    weights = WeightMap((Row("shared.g.{c}.w", ("l.{use}.w",)),), frame=SHARED)
    names = ["shared.g.0.w", "shared.g.1.w"]

    assert {"shared.g.0.w": "l.3.w", "shared.g.1.w": "l.2.w"} == match_names(
        weights, names, ["l.3.w", "l.2.w"]
    ).filled
    assert [("l.1.w", "l.3.w")] == match_names(weights, names, ["l.3.w", "l.2.w", "l.1.w"]).equal
    assert ["l.0.w"] == match_names(weights, names, ["l.0.w", "l.2.w", "l.1.w"]).unexpected


def test_one_tensor_of_several_parameters() -> None:
    """A missing or an unknown tensor is named once, however many parameters it holds."""
    parts = ("a.{i}.q", "a.{i}.k")
    weights = WeightMap(tuple(Row(part, ("s.{i}.qk",), split=parts) for part in parts))
    found = match_names(weights, ["a.0.q", "a.0.k", "a.1.q", "a.1.k"], ["s.0.qk"])

    assert ({"a.0.q": "s.0.qk", "a.0.k": "s.0.qk"}, ["s.1.qk"], []) == (
        found.filled,
        found.missing,
        found.unexpected,
    )
    assert ("a.0.q", "a.0.k") == found.rows["a.0.q"].split


def test_another_layout_of_the_same_parameter() -> None:
    """Of several rows the first is for saving; whichever is stored is read; both at once are one too many."""
    weights = WeightMap((Row("q", ("new",)), Row("q", ("old",), op=Op("transpose"))))

    assert ["new"] == match_names(weights, ["q"], []).missing
    assert Op("transpose") == match_names(weights, ["q"], ["old"]).rows["q"].op
    assert ["old"] == match_names(weights, ["q"], ["new", "old"]).unexpected


def test_only_the_tied_name_is_stored() -> None:
    """A tied head fills the table when the table itself is not there."""
    match = match_names(MAP, ["embed"], ["out", "m.x"])

    assert ({"embed": "out"}, [], ["m.x"]) == (match.filled, match.missing, match.unexpected)


def test_rows_of_a_kind_of_head() -> None:
    """The same parameter has another name in a model with another head."""
    rows = (Row("head.w", ("score",), when=When(head="sequence-classification")), Row("head.w", ("lm_head",)))

    assert "lm_head" == expand_rows(WeightMap(rows, frame=SHARED), ["head.w"])[0].theirs[0]
    other = Frame(head="sequence-classification")
    assert "score" == expand_rows(WeightMap(rows, frame=other), ["head.w"])[0].theirs[0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.0.x", "a.1.x", "a.2.x", "a.5.x"], ["a.{0..2, 5}.x"]),
        (["a.7.x"], ["a.7.x"]),
        (["norm", "head"], ["norm", "head"]),
        (["a.1.b.0", "a.1.b.1"], ["a.1.b.0", "a.1.b.1"]),
        (["0.w", "1.w"], ["{0..1}.w"]),
        ([], []),
        ([f"n{i}" for i in range(40)], [*(f"n{i}" for i in range(19)), "and 21 more"]),
    ],
)
def test_folding(names: list[str], expected: list[str]) -> None:
    """Layers of one tensor become one line; long lists are cut and say so."""
    assert expected == folded(names)
