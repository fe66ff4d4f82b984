"""Reading YAML: what every kind of scalar means, where everything stands, and what is refused."""

from __future__ import annotations

import math
import os
import socket
import time
from pathlib import Path

import pytest

from composer.errors import SpecError
from composer.source import read_document, read_file, reader, with_scalar
from composer.source.reader import MAX_ALIASES, MAX_DEPTH

SCALARS = [
    # null, true, false
    ("", None),
    ("~", None),
    ("null", None),
    ("Null", "Null"),
    ("NULL", "NULL"),
    ("none", "none"),
    ("true", True),
    ("false", False),
    ("True", "True"),
    ("FALSE", "FALSE"),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("n", "n"),
    # whole numbers
    ("0", 0),
    ("-0", 0),
    ("7", 7),
    ("+7", 7),
    ("-12", -12),
    ("10_000", 10000),
    ("1__0", "1__0"),
    ("1_", "1_"),
    ("_1", "_1"),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("9223372036854775808", "E112"),
    ("9" * 5000, "E112"),
    ("017", "E113"),
    ("-08", "E113"),
    ("00", "E113"),
    ("0x10", "0x10"),
    ("0o17", "0o17"),
    ("0b1", "0b1"),
    ("١٢", "١٢"),
    # numbers
    ("1e-5", 1e-5),
    ("1E5", 1e5),
    ("1.0e4", 1e4),
    ("1.e4", 1e4),
    ("5.", 5.0),
    (".5", 0.5),
    ("-.5", -0.5),
    ("+0.25", 0.25),
    ("0.0", 0.0),
    ("0e999", 0.0),
    ("1_0.5", 10.5),
    ("1e", "1e"),
    (".", "."),
    ("-", "E105"),
    ("e5", "e5"),
    ("1.2.3", "1.2.3"),
    ("017.5", "E113"),
    ("00e1", "E113"),
    ("1e999", "E112"),
    ("-1e999", "E112"),
    ("1e-999", "E112"),
    (".inf", "E112"),
    ("-.INF", "E112"),
    (".NaN", "E112"),
    ("inf", "inf"),
    ("nan", "nan"),
    # what other readers turn into times, dates and defaults
    ("1:30", "1:30"),
    ("190:20:30", "190:20:30"),
    ("2024-01-01", "2024-01-01"),
    ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
    ("=", "="),
    ("'017'", "017"),
    ('"true"', "true"),
    ("'~'", "~"),
    ("''", ""),
    ("mamba×6", "mamba×6"),
    ("|-\n  12", "12"),
    (">-\n  null", "null"),
]


@pytest.mark.parametrize(("written", "meant"), SCALARS)
def test_scalars(written: str, meant: object) -> None:
    """Each scalar has one documented meaning, or one code."""
    try:
        found = read_document(f"key: {written}\n", "s.yaml").data["key"]
    except SpecError as error:
        found = error.code
    assert meant == found
    assert type(meant) is type(found)


def test_finite() -> None:
    """Every number that is read is finite."""
    numbers = [meant for _, meant in SCALARS if isinstance(meant, float)]
    assert all(math.isfinite(number) for number in numbers)


def test_data_is_plain_and_fresh() -> None:
    """An alias gives the value again, and changing one copy leaves the other."""
    data = read_document("a: &x {k: [1, 2]}\nb: *x\n", "s.yaml").data
    data["a"]["k"].append(3)
    assert {"k": [1, 2]} == data["b"]


SOURCE = """\
composer: 1
blocks:
  swa: {kind: attention, sliding_window: 4096}
  mlp:
    kind: mlp
  "odd key": &same [1, {deep: x}]
again: *same
list:
- first
- - second
empty:
pattern: >-
  mamba×6,

  (full + mlp)
"""

PLACES = [
    (("composer",), (1, 11, 1), (1, 1, 8)),
    (("blocks",), (3, 3, 3), (2, 1, 6)),
    (("blocks", "swa"), (3, 8, 39), (3, 3, 3)),
    (("blocks", "swa", "sliding_window"), (3, 42, 4), (3, 26, 14)),
    (("blocks", "mlp", "kind"), (5, 11, 3), (5, 5, 4)),
    (("blocks", "odd key"), (6, 20, 14), (6, 3, 9)),
    (("blocks", "odd key", 1, "deep"), (6, 31, 1), (6, 25, 4)),
    (("again", 0), (6, 21, 1), (6, 21, 1)),
    (("list",), (9, 3, 5), (8, 1, 4)),
    (("list", 1, 0), (10, 5, 6), (10, 5, 6)),
    (("empty",), (11, 7, 1), (11, 1, 5)),
    (("blocks", "mlp", "absent", "deeper"), (4, 3, 3), (4, 3, 3)),
    (("blocks", "swa", 7), (3, 3, 3), (3, 3, 3)),
    (("list", 9), (8, 1, 4), (8, 1, 4)),
    (("absent",), (1, 1, 8), (1, 1, 8)),
    ((), (1, 1, 8), (1, 1, 8)),
]


@pytest.mark.parametrize(("path", "value", "key"), PLACES)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_places(path: tuple[str | int, ...], value: object, key: object, newline: str) -> None:
    """Values and keys are found on their line and column; what is absent, at its nearest ancestor's key."""
    document = read_document(SOURCE.replace("\n", newline), "s.yaml")
    at, name = document.place(path), document.place(path, key=True)
    assert value == (at.line, at.column, at.width)
    assert key == (name.line, name.column, name.width)
    assert SOURCE.splitlines()[at.line - 1] == at.text


SCALAR_STYLES = [
    "p: one, two×3, three",
    "p: 'one, two×3, three'",
    'p: "one, two×3, three"',
    "p: &anchor one, two×3, three",
    "p: &anchor\n  'one, two×3, three'",
    "p: one,\n  two×3,\n  three",
    "p: 'one,\n  two×3,\n\n  three'",
    'p: "one, \\\n  two\\xd73,\\tthree"',
    'p: "one,\\ttwo\\u00d73,\\x20three"',
    "p: |\n  one,\n    two×3,\n\n  three\n",
    "p: >- # why\n\n   one,\n   two×3,\n   three\n\n# end",
    "? p\n: >2-\n    one, two×3, three",
]


@pytest.mark.parametrize("text", SCALAR_STYLES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_places_inside_a_scalar(text: str, newline: str) -> None:
    """Offsets in a value point at the same word of the source, however the string is written."""
    document = read_document(text.replace("\n", newline), "s.yaml")
    for word in ("one", "two", "three"):
        place = document.scalar_place(("p",), document.data["p"].index(word), len(word))
        assert word == place.text[place.column - 1 : place.column - 1 + place.width]


def test_places_inside_quotes() -> None:
    """A doubled quote counts as one character, and a stretch ends with its line."""
    document = read_document("p: 'it''s (a\n  b)'", "s.yaml")
    start = document.data["p"].index("(")
    place = document.scalar_place(("p",), start, 4)
    assert (1, 11, 2) == (place.line, place.column, place.width)
    place = document.scalar_place(("p",), len(document.data["p"]), 1)
    assert (2, 5) == (place.line, place.column)


@pytest.mark.parametrize("path", [("absent",), ("number",), ("p", 0)])
def test_places_inside_what_is_no_string(path: tuple[str | int, ...]) -> None:
    """Where there is no string, its nearest place is as good as it gets."""
    document = read_document("p: x\nnumber: 12\n", "s.yaml")
    assert document.place(path) == document.scalar_place(path, 1, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1 # x\np: old  # y\nq: [ 1,2 ]\n", "a: 1 # x\np: new, er  # y\nq: [ 1,2 ]\n"),
        ("\ufeffp: 'old'\r\nq: 1\r\n", "\ufeffp: 'new, er'\r\nq: 1\r\n"),
        ('p: "old"', 'p: "new, er"'),
        ("{p: old, q: 1}", "{p: 'new, er', q: 1}"),
        ("p: >-\n\n   old,\n   er\n\nq: 1\n", "p: >-\n\n   new, er\n\nq: 1\n"),
        ("p: | # c\n  old\nq: 1\n", "p: | # c\n  new, er\nq: 1\n"),
        ("p: &a old\nq: *a\n", "p: &a new, er\nq: *a\n"),
    ],
)
def test_a_string_is_changed_in_place(before: str, after: str) -> None:
    """Comments, line ends, quoting, the byte order mark: everything else stays."""
    assert after == with_scalar(read_document(before, "s.yaml"), ("p",), "new, er")


def test_a_byte_order_mark_and_line_ends_change_nothing(tmp_path: Path) -> None:
    """The same document comes out of every way an editor may save it."""
    expected = read_document(SOURCE, "s.yaml").data
    for start in ("", "\ufeff"):
        for newline in ("\n", "\r\n"):
            path = tmp_path / "s.yaml"
            path.write_bytes((start + SOURCE.replace("\n", newline)).encode())
            assert expected == read_file(path).data
            assert start + SOURCE.replace("\n", newline) == read_file(path).text


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 x"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines)


def tower(levels: int) -> str:
    """Aliases that are few and small, but nest a value ever deeper."""
    lines = [f"a0: &a0 {'[' * 20}{']' * 20}"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} {'[' * 20}*a{level - 1}{']' * 20}")
    return "\n".join(lines)


BOMBS = {
    "aliases": bomb(9, 10),
    "aliases of pairs": bomb(40, 2),
    "many aliases": "a: &a 1\nb: [" + "*a, " * (MAX_ALIASES + 1) + "]",
    "flow": "[" * 100_000,
    "flow mappings": "{a: " * 100_000,
    "block": "- " * 100_000,
    "indented": "\n".join(" " * level + "a:" for level in range(MAX_DEPTH + 5)),
    "explicit keys": "? " * 100_000,
    "tower": tower(30),
    "nodes": "a: [" + "1," * 2_000 + "]",
    "text": "#" * (2**20 + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would blow up is refused while it is small."""
    if name == "nodes":
        monkeypatch.setattr(reader, "MAX_NODES", 2_000)
    start = time.process_time()
    with pytest.raises(SpecError) as caught:
        read_document(BOMBS[name], "s.yaml")
    assert {"E108", "E102"} & {problem.code for problem in caught.value.problems}
    assert time.process_time() - start < 2


def test_limits_are_not_in_the_way() -> None:
    """Just under every limit a document is read."""
    aliases = "a: &a 1\nb: [" + ", ".join(["*a"] * MAX_ALIASES) + "]"
    assert MAX_ALIASES == len(read_document(aliases, "s.yaml").data["b"])
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert deep == str(read_document(deep, "s.yaml").data)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    """Folders, pipes, sockets and devices are refused at once: nothing is opened that could block."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        for path in (tmp_path, tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero")):
            with pytest.raises(SpecError) as caught:
                read_file(path)
            assert "E101" == caught.value.code
