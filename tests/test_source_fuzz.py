"""Reading YAML that nobody wrote: random data comes back, damaged text gives errors and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from composer.errors import Path, Problem, SpecError
from composer.source import Document, read_document

from . import prove

MUTANTS = prove.cases(500, 20_000)

# Control characters, separators and halves of surrogate pairs are refused; tests/errors asserts that.
TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff"),
    max_size=8,
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | TEXT
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)


DATA = st.dictionaries(TEXT, st.recursive(SCALARS, nested), max_size=5)


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar of plain data with its key path."""
    if not isinstance(data, dict | list):
        yield path, data
        return
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield from leaves(value, (*path, key))


@given(DATA)
def test_json_comes_back(data: Any) -> None:
    """JSON is YAML: any data written as JSON is read as it was, value for value and type for type."""
    read = read_document(json.dumps(data, ensure_ascii=False), "s.yaml").data
    assert json.dumps(data) == json.dumps(read)


@given(DATA)
def test_every_scalar_is_found(data: Any) -> None:
    """The place of each scalar is exactly its text, on its line and columns."""
    document = read_document(json.dumps(data, ensure_ascii=False, indent=1), "s.yaml")
    for path, value in leaves(data):
        place = document.place(path)
        shown = place.text[place.column - 1 : place.column - 1 + place.width]
        assert json.dumps(value, ensure_ascii=False) == shown


@given(st.dictionaries(TEXT, st.integers(0, 9), min_size=2, max_size=6), st.data())
def test_a_duplicate_key_is_found(data: dict[str, int], draw: st.DataObject) -> None:
    """Whichever key comes twice, the second is refused and the first is named."""
    keys = list(data)
    again = draw.draw(st.sampled_from(keys))
    lines = [f"{json.dumps(key, ensure_ascii=False)}: 1" for key in [*keys, again]]
    (problem,) = read("\n".join(lines))[1]
    assert f"duplicate key {again!r}, first set in line {keys.index(again) + 1}" == problem.message
    assert problem.place
    assert len(lines) == problem.place.line


SEEDS = [
    File(__file__)
    .parent.joinpath("test_source_fuzz.py")
    .read_text(encoding="utf-8")
    .replace("\x00", "")[:600],
    "composer: 1\nblocks:\n  swa: {kind: attention, rope: {theta: 1.0e4}}\n  mlp: &m\n    kind: mlp\nb: *m\n",
    "pattern: >-\n  mamba×6,\n  (full+mlp)×2\nlist: [1, 'two', \"thr\\u00e9e\", null, 1e-5]\n- x\n? y\n: z\n",
]
SPICE = [
    *"\t\n\r \"'#&*!|>%@`{}[],:?-~<.\\\0\ufeff\x85\u2028é×",
    "<<: ",
    "---\n",
    "...\n",
    "&a ",
    "*a",
    "!!int ",
    "- ",
    "\\x",
    "017",
]


def mutant(draw: random.Random) -> str:
    """A text with a few characters removed, doubled, moved or replaced by what means something in YAML."""
    text = draw.choice(SEEDS)
    for _ in range(draw.randint(1, 6)):
        at, length = draw.randrange(len(text) + 1), draw.choice([0, 0, 1, 1, 5, 40])
        new = draw.choice(["", draw.choice(SPICE), text[at : at + length] * 2, draw.choice(SPICE) * 30])
        text = text[:at] + new + text[at + length :]
    return text


def read(text: str) -> tuple[Document | None, tuple[Problem, ...]]:
    try:
        return read_document(text, "s.yaml"), ()
    except SpecError as error:
        return None, error.problems


def test_mutants() -> None:
    """Damaged text is either read or refused with codes and places; no other exception leaves the reader."""
    draw, refused = random.Random(7), 0
    for _ in range(MUTANTS):
        document, problems = read(mutant(draw))
        refused += document is None
        for problem in problems:
            assert problem.code.startswith("E1")
            assert problem.place or problem.code == "E116"
            assert str(problem)
        for path, value in leaves(document.data) if document else ():
            assert document.place(path)
            assert not isinstance(value, str) or document.scalar_place(path, len(value) // 2, 3)
    assert MUTANTS // 4 < refused < MUTANTS
    prove.counted("damaged YAML is read or refused with a place, never a traceback", MUTANTS)
