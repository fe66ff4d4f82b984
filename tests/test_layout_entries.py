"""Rows of a weight map as family files write them: what each form means, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from composer.layout.entries import Entry, check_parts, rows_of
from composer.layout.ops import Op
from composer.layout.rows import Row, When

READ: TypeAdapter[Any] = TypeAdapter(dict[str, Entry])


def rows(ours: str, entry: Any) -> list[Row]:
    """The rows of one key."""
    ((name, found),) = check_parts(READ.validate_python({ours: entry})).items()
    return list(rows_of(name, found))


@pytest.mark.parametrize(
    ("ours", "entry", "expected"),
    [
        ("a.w", "b.w", [Row("a.w", ("b.w",))]),
        ("a.w", {"from": ["b", "c"], "tied": "e"}, [Row("a.w", ("b", "c"), "e")]),
        ("a.w", {"from": "b", "op": "transpose"}, [Row("a.w", ("b",), op=Op("transpose"))]),
        (
            "a.w",
            {"from": "b", "op": {"unpair": "head_dim"}},
            [Row("a.w", ("b",), op=Op("unpair", "head_dim"))],
        ),
        (
            "a.{part}.w",
            {"from": "b", "split": ["k", "q"], "op": {"squeeze": 1}},
            [Row(f"a.{p}.w", ("b",), op=Op("squeeze", 1), split=("a.k.w", "a.q.w")) for p in "kq"],
        ),
        (
            "a.{part}.{part}",
            {"from": ["b.{part}", "c"], "each": ["q", "k"]},
            [Row("a.q.q", ("b.q", "c")), Row("a.k.k", ("b.k", "c"))],
        ),
        (
            "l.{i}.w",
            [{"from": "g.{i}", "when": {"guest": "g"}}, {"from": "m.{i}"}],
            [Row("l.{i}.w", ("g.{i}",), when=When(guest="g")), Row("l.{i}.w", ("m.{i}",))],
        ),
    ],
)
def test_forms(ours: str, entry: Any, expected: list[Row]) -> None:
    """A name, names, an operation, parts in one tensor or each in its own, a choice."""
    assert expected == rows(ours, entry)


@pytest.mark.parametrize(
    ("ours", "entry", "message"),
    [
        ("a.w", {"from": "b", "op": "turn"}, "transpose"),
        ("a.w", {"from": "b", "op": {}}, "name one operation"),
        ("a.w", {"from": "b", "op": {"squeeze": 1, "unsqueeze": 1}}, "name one operation"),
        ("a.w", {"from": "b", "op": {"squeeze": -1}}, "greater than or equal to 0"),
        ("a.w", {"from": "b", "when": {"layer": 1}}, "Extra inputs are not permitted"),
        ("a.w", {"to": "b"}, "Field required"),
        ("a.{part}", {"from": "b", "split": ["x"], "each": ["y"]}, "give 'split' or 'each'"),
        ("a.w", {"from": "b", "split": ["x", "y"]}, "'a.w': '{part}' in our name"),
        ("a.{part}", {"from": "b"}, "'a.{part}': '{part}' in our name"),
        ("a.{part}", "b", "'a.{part}': '{part}' in our name"),
        ("a.{part}", [{"from": "b", "split": ["x"]}, {"from": "c"}], "'a.{part}': '{part}' in our name"),
    ],
)
def test_what_is_refused(ours: str, entry: Any, message: str) -> None:
    """Each mistake has a sentence."""
    with pytest.raises((ValidationError, ValueError)) as caught:
        rows(ours, entry)

    assert message in str(caught.value)
