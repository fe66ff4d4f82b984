"""Every error of a YAML file and of its options: code, words, place and hint."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from composer.errors import Problem, SpecError
from composer.source import problems_of, read_document, read_file, with_scalar

# code, text, where, message, hint
YAML = [
    ("E104", "a: \x1b[31m", "1:4", "character U+001B is not allowed", ""),
    ("E104", "a: 1\u2028b: 2", "1:5", "character U+2028 is not allowed", ""),
    ("E104", 'a: "\\0"', "1:4", "a string with a NUL or half a surrogate pair", ""),
    ("E104", 'a: "\\ud800"', "1:4", "a string with a NUL or half a surrogate pair", ""),
    ("E105", "a:\n\tb: 1", "2:1", "not valid YAML: a tab cannot stand here", "indent with spaces"),
    (
        "E105",
        "a: b: c",
        "1:5",
        "not valid YAML: a second ':' in one value, or a line that is not aligned",
        "quote a value that contains ': ', or check the indentation",
    ),
    (
        "E105",
        "a: 1\nb\nc: 1",
        "2:1",
        "not valid YAML: a key without ':'",
        "quote a value that contains ': ', or check the indentation",
    ),
    (
        "E105",
        'a: "\\q"',
        "1:6",
        "not valid YAML: an unknown escape in a double-quoted string",
        "use single quotes",
    ),
    (
        "E105",
        'a: "\\xzz"',
        "1:7",
        "not valid YAML: an unfinished escape in a double-quoted string",
        "use single quotes",
    ),
    ("E105", "a: **b", "1:5", "not valid YAML: an anchor or alias without a name", "quote it"),
    (
        "E105",
        "a: [1]\n  b",
        "2:3",
        "not valid YAML: this line does not fit the lines above it",
        "check indents, commas, quotes",
    ),
    (
        "E105",
        "a: [1 2: 3}",
        "1:11",
        "not valid YAML: expected ',' or ']'",
        "'[' in line 1 is open; check commas, quotes and brackets",
    ),
    (
        "E105",
        "a: {b: 1 ]}",
        "1:10",
        "not valid YAML: expected ',' or '}'",
        "'{' in line 1 is open; check commas, quotes and brackets",
    ),
    ("E105", "a: @b", "1:4", "not valid YAML: this character cannot start a value", "quote the value"),
    (
        "E105",
        "a: [1, 2\nb: 3",
        "2:2",
        "not valid YAML: expected ',' or ']'",
        "'[' in line 1 is open; check commas, quotes and brackets",
    ),
    ("E105", "a: [1, 2", "1:4", "not valid YAML: this is never closed", "check quotes and brackets"),
    ("E105", "a: 'b\nc: d\n", "1:4", "not valid YAML: this is never closed", "check quotes and brackets"),
    (
        "E105",
        'a: "\\UFFFFFFFF"',
        "1:7",
        "not valid YAML: a number or an escape that is out of range",
        "",
    ),
    ("E106", "", "1:1", "there is nothing in this document", ""),
    ("E106", "# only this\n", "1:1", "there is nothing in this document", ""),
    ("E106", "---\n...\n", "1:1", "there is nothing in this document", ""),
    ("E107", "a: 1\n---\nb: 2", "2:1", "a second document begins here", "write one document in a file"),
    ("E108", "- " * 70, "1:129", "nested more than 64 deep", ""),
    ("E108", "a: &a 1\nb: [" + "*a," * 1001, "2:3005", "more than 1,000 aliases", ""),
    (
        "E108",
        "a: &a [" + "1," * 999 + "]\nb: [" + "*a," * 101,
        "2:299",
        "more than 100,000 values, aliases expanded",
        "",
    ),
    (
        "E109",
        "a: !!python/object:os.system x",
        "1:4",
        "tag '!!python/object:os.system' is not allowed",
        "quote a value that is a string",
    ),
    ("E109", "a: !!str 12", "1:4", "tag '!!str' is not allowed", "quote a value that is a string"),
    ("E109", "a: !x [1]", "1:4", "tag '!x' is not allowed", "quote a value that is a string"),
    ("E110", "a: 1\nb: 2\na: 3", "3:1", "duplicate key 'a', first set in line 1", ""),
    ("E110", "x: {a: 1, 'a': 3}", "1:11", "duplicate key 'a', first set in line 1", ""),
    ("E111", "1: a", "1:1", "a key must be a string, found 1", "quote it"),
    ("E111", "true: a", "1:1", "a key must be a string, found true", "quote it"),
    ("E111", "? [a]\n: b", "1:3", "a key must be a string, found a list", "quote it"),
    ("E111", "? \n: b", "1:2", "a key must be a string, found nothing", "quote it"),
    ("E112", "a: .inf", "1:4", ".inf is not a finite number", "an open bound is written null"),
    ("E112", "a: .nan", "1:4", ".nan is not a finite number", "an open bound is written null"),
    ("E112", "a: 1e999", "1:4", "1e999 is too large for a number", "quote it if it is a string"),
    ("E112", "a: 1e-999", "1:4", "1e-999 is too small for a number", "quote it if it is a string"),
    ("E112", f"a: {2**63}", "1:4", f"{2**63} does not fit in 64 bits", "quote it if it is a string"),
    ("E113", "a: 017", "1:4", "017 starts with 0", "write 17, or quote a string"),
    ("E113", "a: -00.5", "1:4", "-00.5 starts with 0", "write -0.5, or quote a string"),
    ("E114", "a: *b", "1:4", "alias '*b' has no anchor", "quote a value that starts with '*'"),
    ("E114", "a: &b [*b]", "1:8", "alias '*b' stands inside its own anchor", ""),
    ("E114", "a: &b 1\nc: &b 2", "2:4", "anchor '&b' is already set in line 1", "rename it"),
    (
        "E115",
        "a: &a {b: 1}\nc:\n  <<: *a",
        "3:3",
        "merge keys are not supported",
        "use 'extends', or an alias for a whole value",
    ),
]


@pytest.mark.parametrize(("code", "text", "where", "message", "hint"), YAML)
def test_yaml(code: str, text: str, where: str, message: str, hint: str) -> None:
    """Each mistake has its code, a sentence, a place and, where one is known, a hint."""
    with pytest.raises(SpecError) as caught:
        read_document(text, "s.yaml")
    (problem,) = caught.value.problems
    assert (code, message, f"s.yaml:{where}", hint) == (
        problem.code,
        problem.message,
        str(problem.place),
        problem.hint,
    )


def test_all_at_once() -> None:
    """Mistakes of different kinds are reported together, each with its key path and its line."""
    text = "a: 1\nb: {c: [0, 017]}\na: 2\nd: .inf\ne: [1"
    with pytest.raises(SpecError) as caught:
        read_document(text, "s.yaml")
    assert [("E113", "b.c.1"), ("E110", ""), ("E112", "d"), ("E105", "")] == [
        (problem.code, problem.path) for problem in caught.value.problems
    ]
    shown = "s.yaml:2:12: b.c.1: 017 starts with 0 [E113]\n    2 | b: {c: [0, 017]}\n      |            ^^^"
    assert str(caught.value).startswith(shown)


def test_many_problems_are_cut() -> None:
    """A file with thousands of mistakes shows fifty and counts the rest."""
    with pytest.raises(SpecError) as caught:
        read_document("a: 1\n" * 2000, "s.yaml")
    assert 51 == len(caught.value.problems)
    last = caught.value.problems[-1]
    assert ("E116", "1,949 more problems are not shown") == (last.code, last.message)


def test_too_large(tmp_path: Path) -> None:
    """A file over 1 MiB is not read to its end."""
    path = tmp_path / "s.yaml"
    path.write_bytes(b"#" * (2**20 + 1))
    for read in (lambda: read_file(path), lambda: read_document("#" * (2**20 + 1), str(path))):
        with pytest.raises(SpecError) as caught:
            read()
        (problem,) = caught.value.problems
        assert ("E102", f"{path} is larger than 1 MiB") == (problem.code, problem.message)


def test_unreadable(tmp_path: Path) -> None:
    """A file that is missing, a folder, or named impossibly says which and why."""
    reasons = {
        tmp_path / "absent.yaml": "No such file or directory",
        tmp_path: "it is a folder",
        Path("/dev/null"): "it is not a regular file",
        "a\0b": "embedded null byte",
    }
    for path, reason in reasons.items():
        with pytest.raises(SpecError) as caught:
            read_file(path)
        (problem,) = caught.value.problems
        assert ("E101", f"cannot read {path}: {reason}") == (problem.code, problem.message)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_not_utf8(tmp_path: Path, start: bytes) -> None:
    """The first byte that is not UTF-8 has a line and a column."""
    path = tmp_path / "s.yaml"
    path.write_bytes(start + "a: ×\r\nb: é\xe9".encode().replace(b"\xc3\xa9\xc3\xa9", "é".encode("latin-1")))
    with pytest.raises(SpecError) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert ("E103", "byte 0xe9 is not UTF-8") == (problem.code, problem.message)
    assert f"{path}:2:4" == str(problem.place)
    assert "save the file as UTF-8" == problem.hint


@pytest.mark.parametrize("path", [("a",), ("absent",)])
def test_no_string_to_change(path: tuple[str, ...]) -> None:
    """Only a string can be replaced in place."""
    with pytest.raises(SpecError) as caught:
        with_scalar(read_document("a: 1", "s.yaml"), path, "b")
    assert ("E117", "no string can be changed here") == (caught.value.code, caught.value.problems[0].message)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Colour(Enum):
    red = "red"
    blue = "blue"


class Rope(Frozen):
    theta: Annotated[float, Field(gt=0)] = 1e4
    type: Literal["default", "linear"] = "default"

    @model_validator(mode="after")
    def _check(self) -> Rope:
        if self.type == "linear" and self.theta == 1:
            raise ValueError("rope type 'linear' needs another theta")
        return self


class Ring(Frozen):
    kind: Literal["ring"]
    size: int


class Open(Frozen):
    kind: Literal["open"]


class Options(Frozen):
    width: Annotated[int, Field(ge=1, le=10)] = 1
    ratio: Annotated[float, Field(lt=1, multiple_of=0.25)] = 0.5
    bias: bool = False
    name: Annotated[str, Field(min_length=2, max_length=3, pattern="^[a-z]+$")] = "ab"
    rope: Rope | None = None
    norm: Literal["rms", "layer"] | Rope | None = None
    either: int | str | None = None
    many: Annotated[tuple[Rope, ...], Field(strict=False)] = ()
    window: Annotated[Ring | Open, Field(discriminator="kind")] = Open(kind="open")
    table: dict[str, Rope | Ring] = {}
    short: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    row: Annotated[tuple[int, ...], Field(strict=False), Field(min_length=1)] = (1,)
    nothing: None = None
    colour: Annotated[Colour, Field(strict=False)] = Colour.red
    mixed: str | Annotated[tuple[str, ...], Field(strict=False)] = ""
    odd: int = 1

    @field_validator("odd")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise PydanticCustomError("E399", "even numbers are out", {"hint": "write 3"})
        if value < 0:
            raise AssertionError("odd must be positive")
        return value


# options, then for every problem: code, path below `blocks.b`, line:column, message, hint
DASH = "begin each entry of the list with '- '"
OPTIONS: list[tuple[str, list[tuple[str, str, str, str, str]]]] = [
    ("widht: 1", [("E301", "widht", "3:5", "unknown option 'widht'", "did you mean 'width'?")]),
    (
        "rope: {tehta: 1.0}",
        [("E301", "rope.tehta", "3:12", "unknown option 'tehta'", "did you mean 'theta'?")],
    ),
    ("window: {kind: ring}", [("E302", "window", "3:5", "'size' is missing", "")]),
    ("window: {}", [("E302", "window", "3:5", "'kind' is missing", "")]),
    (
        "window: {kind: rign, size: 1}",
        [("E304", "window.kind", "3:20", "expected 'ring' or 'open', found 'rign'", "did you mean 'ring'?")],
    ),
    ("width: 1.5", [("E303", "width", "3:12", "expected a whole number, found 1.5", "")]),
    ("width: true", [("E303", "width", "3:12", "expected a whole number, found true", "")]),
    ("width: '4'", [("E303", "width", "3:12", "expected a whole number, found '4'", "remove the quotes")]),
    ("width: 0x10", [("E303", "width", "3:12", "expected a whole number, found '0x10'", "")]),
    ("width: '017'", [("E303", "width", "3:12", "expected a whole number, found '017'", "")]),
    ("width:", [("E303", "width", "3:11", "expected a whole number, found null", "")]),
    ("ratio: []", [("E303", "ratio", "3:12", "expected a number, found a list", "")]),
    ("bias: yes", [("E303", "bias", "3:11", "expected true or false, found 'yes'", "write true or false")]),
    ("name: 12", [("E303", "name", "3:11", "expected a string, found 12", "")]),
    ("rope: 12", [("E303", "rope", "3:11", "expected a mapping, found 12", "")]),
    ("many: {a: 1}", [("E303", "many", "3:5", "expected a list, found a mapping", DASH)]),
    ("short: 1", [("E303", "short", "3:12", "expected a list, found 1", "")]),
    ("table: 1", [("E303", "table", "3:12", "expected a mapping, found 1", "")]),
    ("nothing: 1", [("E303", "nothing", "3:14", "expected null, found 1", "")]),
    ("either: 1.5", [("E303", "either", "3:13", "expected a whole number or a string, found 1.5", "")]),
    ("mixed: 1", [("E303", "mixed", "3:12", "expected a string or a list, found 1", "")]),
    ("mixed: [a, 1]", [("E303", "mixed.1", "3:16", "expected a string, found 1", "")]),
    (
        "norm: rsm",
        [
            (
                "E304",
                "norm",
                "3:11",
                "expected 'rms', 'layer' or a mapping, found 'rsm'",
                "did you mean 'rms'?",
            )
        ],
    ),
    ("norm: 3", [("E303", "norm", "3:11", "expected 'rms', 'layer' or a mapping, found 3", "")]),
    ("norm: {theta: 0.0}", [("E304", "norm.theta", "3:19", "must be above 0, found 0.0", "")]),
    (
        "many: [{}, {theta: -1.0, a: 1}]",
        [
            ("E304", "many.1.theta", "3:24", "must be above 0, found -1.0", ""),
            ("E301", "many.1.a", "3:30", "unknown option 'a'", "the options are theta, type"),
        ],
    ),
    ("table: {x: {theta: 0.0}}", [("E304", "table.x.theta", "3:24", "must be above 0, found 0.0", "")]),
    ("table: {x: {kind: ring}}", [("E302", "table.x", "3:13", "'size' is missing", "")]),
    ("table: {x: 5}", [("E303", "table.x", "3:16", "expected a mapping, found 5", "")]),
    ("width: 0", [("E304", "width", "3:12", "must be at least 1, found 0", "")]),
    ("width: 11", [("E304", "width", "3:12", "must be at most 10, found 11", "")]),
    ("ratio: 1.0", [("E304", "ratio", "3:12", "must be below 1, found 1.0", "")]),
    ("ratio: 0.3", [("E304", "ratio", "3:12", "must be a multiple of 0.25, found 0.3", "")]),
    ("name: a", [("E304", "name", "3:11", "must be at least 2 characters long, found 'a'", "")]),
    ("name: abcd", [("E304", "name", "3:11", "must be at most 3 characters long, found 'abcd'", "")]),
    ("name: A1", [("E304", "name", "3:11", "must be of the form ^[a-z]+$, found 'A1'", "")]),
    ("short: []", [("E304", "short", "3:12", "must be at least 1 long, found a list", "")]),
    ("row: [x]", [("E303", "row.0", "3:11", "expected a whole number, found 'x'", "")]),
    ("short: [1, 2, 3]", [("E304", "short", "3:12", "must be at most 2 long, found a list", "")]),
    (
        "colour: rde",
        [("E304", "colour", "3:13", "expected 'red' or 'blue', found 'rde'", "did you mean 'red'?")],
    ),
    (
        "rope: {type: linear, theta: 1.0}",
        [("E304", "rope", "3:5", "rope type 'linear' needs another theta", "")],
    ),
    ("odd: 4", [("E399", "odd", "3:10", "even numbers are out", "write 3")]),
    ("odd: -1", [("E304", "odd", "3:10", "odd must be positive", "")]),
    (
        "width: a\n    bias: 1\n    nam: b",
        [
            ("E303", "width", "3:12", "expected a whole number, found 'a'", ""),
            ("E303", "bias", "4:11", "expected true or false, found 1", ""),
            ("E301", "nam", "5:5", "unknown option 'nam'", "did you mean 'name'?"),
        ],
    ),
]


def refused(model: type[BaseModel], data: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return caught.value


@pytest.mark.parametrize(("options", "expected"), OPTIONS)
def test_options(options: str, expected: list[tuple[str, str, str, str, str]]) -> None:
    """What pydantic refuses is told in our words, at the place in the file, with the key path as written."""
    document = read_document(f"blocks:\n  b:\n    {options}\n", "s.yaml")
    error = refused(Options, document.data["blocks"]["b"])
    found = problems_of(error, document, ("blocks", "b"), Options)
    assert [(c, f"blocks.b.{p}", f"s.yaml:{w}", m, h) for c, p, w, m, h in expected] == [
        (each.code, each.path, str(each.place), each.message, each.hint) for each in found
    ]


def test_options_of_nothing_else() -> None:
    """Without a file and a model the names of the options suffice for a suggestion."""
    (problem,) = problems_of(refused(Rope, {"tehta": 1.0}), None, (), ["theta", "type"])
    hint = "did you mean 'theta'?"
    expected = Problem("E301", "unknown option 'tehta'", path="tehta", hint=hint, found="tehta")
    assert expected == problem
    (problem,) = problems_of(refused(Rope, {"tehta": 1.0}))
    assert "" == problem.hint


def test_the_data_itself() -> None:
    """Data that is no mapping at all is told at the root of the file."""
    document = read_document("- 1\n", "s.yaml")
    (problem,) = problems_of(refused(Options, document.data), document, (), Options)
    assert ("E303", "expected a mapping, found a list") == (problem.code, problem.message)
    assert "s.yaml:1:3" == str(problem.place)


def test_many_options_are_cut() -> None:
    """Thousands of unknown options show fifty problems and count the rest."""
    problems = problems_of(refused(Options, {f"o{n}": 1 for n in range(3000)}), None, (), Options)
    assert ("E116", "2,950 more problems are not shown") == (problems[-1].code, problems[-1].message)
