"""The language of family files: what it computes, what it refuses, and where it points."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.layout.expressions import parse_expression
from composer.layout.tree import ABSENT, Absent, ExpressionProblem

C = {"a": 3, "n": None, "l": [1, 2], "m": {"x": "y"}, "t": True, "s": "word", "f": 0.5}


def value(text: str) -> Any:
    return parse_expression(text).value({"c": C})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c.a", 3), ("c.m.x", "y"), ("c.m['x']", "y"), ("c.l[1]", 2), ("c.l[-1]", 2), ("[c.a, 1][0]", 3),
        ("c.b ?? 5", 5), ("c.n ?? 5", 5), ("c.a ?? 5", 3), ("c.n.x.y ?? c.m.z ?? 'd'", "d"), ("c.l[9] ?? 0", 0),
        ("c.b ?? c.a // 2 + 1", 2), ("{}", {}), ("len(c.l)", 2), ("len({})", 0), ("min(c.a, 2)", 2),
        ("max(1, c.a, 2)", 3), ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("7 // 2", 3), ("7 % 4", 3), ("1 / 4", 0.25),
        ("-2 ** 2", -4), ("2 ** -1", 0.5), ("4 ** c.f", 2.0), ("1 - -1", 2), ("1 - 2 - 3", -4), ("8 / 2 / 2", 2.0),
        ("1e-5", 1e-5), ("10000.0", 10000.0), ("'a' if c.t else 'b'", "a"), ("'a' if not c.t else 'b'", "b"),
        ("1 if c.a == 1 else 2 if c.a == 2 else 3", 3), ("c.a > 2 and c.a <= 3", True), ("c.t or c.b.c == 1", True),
        ("not c.t and c.nothing", False), ("not not c.t", True), ("c.a in [1, 3]", True), ("'z' in [c.s]", False),
        ("c.b == absent", True), ("c.n == absent", False), ("c.n == null", True), ("c.b == null", False),
        ("[x * 2 for x in c.l]", [2, 4]), ("[x for x in range(5) if x % 2 == 1]", [1, 3]), ("[]", []),
        ("[{'a': 1, 'b': 2}[x] for x in ['b', 'a']]", [2, 1]), ("{'a': c.a, c.s: [1]}", {"a": 3, "word": [1]}),
        ("[1] + c.l", [1, 1, 2]), ("c.l * 2 + [c.a]", [1, 2, 1, 2, 3]), ("[x.x for x in [c.m]]", ["y"]),
        ("len([x for x in c.l if x == 2])", 1), ("[1 if x == 1 else 0 for x in c.l]", [1, 0]),
        ("cycle(['a', 'b', 'b', 'a', 'b', 'b']).pattern", "a, b×2"), ("cycle(['a'] * 7)['remainder']", "error"),
        ("cycle(['a', 'a+g'] * 2 + ['a'])", {"pattern": "a×2+g", "remainder": "truncate"}),
        ("listed(c.a)", [3]), ("listed(c.l)", [1, 2]), ("listed(null)", [None]), ("whole('4096')", 4096),
        ("round(2.6)", 3), ("c.b != 1", True),
        ("1 == true", False), ("1 == 1.0", True), ("'if' == 'if'", True), ('"\'" != \'x\'', True),
    ],
)  # fmt: skip
def test_values(text: str, expected: Any) -> None:
    """Operators bind as in Python, `??` loosest but for the choice; what is absent flows into `??`."""
    found = value(text)

    assert expected == found
    assert type(expected) is type(found)


def test_absent_is_a_value() -> None:
    """A template drops the key whose value it is; what was asked for is remembered."""
    assert ABSENT == value("absent")
    assert Absent("c.m.z.w") == value("c.m.z.w")


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("", "expected a value before the end", ""),
        ("1 +", "expected a value before the end", ""),
        ("c.", "expected a name behind the dot", ""),
        ("(1", "expected ')' before the end", ""),
        ("1 2", "'2' cannot stand here", "2"),
        ("c.a ? 1", "'?' means nothing here", "?"),
        ("'open", '"\'" means nothing here', "'"),
        ("1 if 2", "expected 'else' before the end", ""),
        ("if", "expected a value, found 'if'", "if"),
        ("* 2", "expected a value, found '*'", "*"),
        ("whole('x')", "whole('x'): whole cannot be applied to 'x'", "whole('x')"),
        ("whole(c.f)", "whole(c.f): whole cannot be applied to 0.5", "whole(c.f)"),
        ("open('x')", "only len, min, max, round, range, cycle, whole, listed can be called", "open"),
        ("c.__class__(1)", "'(' cannot stand here", "("),
        ("[1 2]", "expected ',', found '2'", "2"),
        ("(" * 41 + "1", "nested too deeply", "("),
        ("1" * 501, "an expression has at most 500 characters", "1"),
        ("d.x", "'d' is not a name here; there are: c", "d"),
        ("c.b + 1", "c.b is not there", "c.b"),
        ("c.a.b", "c.a is 3 and has no keys", "c.a.b"),
        ("c.a['x']", "only lists and mappings have items", "c.a['x']"),
        ("c.l['x']", "only lists and mappings have items", "c.l['x']"),
        ("1 if c.a else 2", "c.a is 3, not true or false", "c.a"),
        (
            "c.s * 1000000000",
            "c.s * 1000000000: * cannot be applied to 'word', 1000000000",
            "c.s * 1000000000",
        ),
        ("[x for x in c.a]", "c.a is 3, not a list", "c.a"),
        ("[x.y for x in c.l]", "x is 1 and has no keys", "x.y"),
        ("[x.y for x in [c.m]]", "x.y is not there", "x.y"),
        (
            "[[y for y in c.l] for x in c.l]",
            "a list that is made from a list cannot hold another such list",
            "]",
        ),
        (
            "[x for x in [y for y in c.l]]",
            "a list that is made from a list cannot hold another such list",
            "]",
        ),
        ("[x for if in c.l]", "expected a name behind 'for'", "if"),
        ("[x for x of c.l]", "expected 'in', found 'of'", "of"),
        ("x + [x for x in c.l]", "'x' is not a name here; there are: c", "x"),
        ("{'a'}", "expected ':', found '}'", "}"),
        ("{1: 2}", "1 cannot be a key", "1"),
        ("range(10001)", "range(10001): range cannot be applied to 10001", "range(10001)"),
        ("c.l * 9999", "c.l * 9999: * cannot be applied to a list, 9999", "c.l * 9999"),
        ("c.l + 1", "c.l + 1: + cannot be applied to a list, 1", "c.l + 1"),
        ("cycle([1])", "cycle([1]): cycle cannot be applied to a list", "cycle([1])"),
        ("cycle([])", "cycle([]): cycle cannot be applied to a list", "cycle([])"),
        ("cycle(['a('])", "cycle(['a(']): cycle cannot be applied to a list", "cycle(['a('])"),
        ("9 ** 99", "9 ** 99: ** cannot be applied to 9, 99", "9 ** 99"),
        ("1 // (c.a - 3)", "1 // (c.a - 3): // cannot be applied to 1, 0", "1 // (c.a - 3)"),
        ("c.n < 1", "c.n < 1: < cannot be applied to null, 1", "c.n < 1"),
        ("c.t + 1", "c.t + 1: + cannot be applied to true, 1", "c.t + 1"),
        ("min()", "min(): min cannot be applied to nothing", "min()"),
        ("1 in 2", "1 in 2: in cannot be applied to 1, 2", "1 in 2"),
        ("(0 - 8) ** 0.5", "(0 - 8) ** 0.5: ** cannot be applied to -8, 0.5", "(0 - 8) ** 0.5"),
    ],
)
def test_refusals(text: str, message: str, marked: str) -> None:
    """A sentence, and the characters that caused it."""
    with pytest.raises(ExpressionProblem) as caught:
        value(text)

    assert message == caught.value.message
    assert marked == text[caught.value.start : caught.value.start + caught.value.width]


def test_keys_that_are_read() -> None:
    """All keys of a name, in branches that are not taken too."""
    assert {"a", "b", "d"} == parse_expression("c.a ?? len(c.b.x) + (1 if c.d else e.f)").keys_of("c")


ATOMS = st.sampled_from(
    ["c", "c.a", "c.n", "1", "2.5", "'s'", "(", ")", "[", "]", "{}", "not ", "-", "true", "absent"]
)
SIGNS = st.sampled_from(
    [" ", " ?? ", " or ", " and ", " == ", " in ", "+", "*", "//", "**", " if ", " else ", ".", "len(", ","]
)


@given(st.lists(ATOMS | SIGNS, max_size=30).map("".join) | st.text(max_size=40))
def test_any_text_has_a_value_or_a_problem(text: str) -> None:
    """Nothing else comes out, and the place is inside the text or right behind it."""
    place = (0, 1)
    try:
        value(text)
    except ExpressionProblem as problem:
        place = (problem.start, problem.width)
    assert 0 <= place[0] <= len(text)
    assert 1 <= place[1]
