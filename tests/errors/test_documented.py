"""docs/errors.md lists every code, and every sentence in it is one that a test beside this one asserts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .test_codes import RAISED

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "errors.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in re.findall(r"^\| E\d.*$", PAGE, re.M)
]


def strings(value: Any) -> Iterator[str]:
    """Every string in plain data."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(each)


def literals(path: Path) -> Iterator[str]:
    """Every string of a test file; a NUL stands for what an f-string fills in."""
    if path.suffix == ".yaml":
        yield from strings(yaml.safe_load(path.read_text(encoding="utf-8")))
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "\0" for p in node.values)


def sentences(text: str) -> Iterator[str]:
    """The lines of an asserted text as patterns, without what stands around the sentence."""
    for line in text.splitlines():
        bare = re.sub(r"^(F(/m)?:?|composer:) | \[E\d+\].*$", "", line)
        if len(bare.replace("\0", "")) > 12:
            yield re.escape(bare).replace("\0", ".*")


@pytest.fixture(scope="module")
def told() -> list[str]:
    files = [*HERE.glob("*.py"), *HERE.glob("*.yaml")]
    texts = (text for path in files if path != Path(__file__) for text in literals(path))
    return [sentence for text in texts for sentence in sentences(text)]


def test_every_code_once() -> None:
    """The page has a row for each code that can be raised, in order, and no other."""
    assert sorted(RAISED) == [row[0] for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_rows_are_whole(row: tuple[str, ...]) -> None:
    """An example, a sentence, and what to do, which is one."""
    assert 4 == len(row)
    assert all(row)
    assert row[3].endswith(".")


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_sentences_are_asserted(row: tuple[str, ...], told: list[str]) -> None:
    """The sentence is in an assertion, or an assertion holds a pattern that it fits."""
    says = row[2].removesuffix("…").strip()

    assert any(re.escape(says) in sentence or re.search(sentence, says) for sentence in told), says
