"""Where in a local file an error is, as people and programs are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.plugins import catalog

FILES = {
    "syntax": ("import composer\nclass X(:\n", (2, 9)),
    "raised": ('raise RuntimeError("boom")\n', (1, 1)),
    "inner": ('def f():\n    x = "é"; return x + nothing_here\n\nf()\n', (2, 25)),
    "library": ('import json\n\nx = json.loads("{")\n', (3, 5)),
    "exits": ("import sys\nsys.exit(1)\n", (2, 1)),
    "hook": ("import composer\n@composer.hookimpl\ndef composer_blocks():\n    return 1 / 0\n", (4, 12)),
}


@pytest.mark.parametrize("name", FILES)
def test_the_innermost_line_of_the_file(name: str, tmp_path: Path) -> None:
    """Line and column, in characters, of the last call that stands in the file; calls in libraries do not count."""
    text, where = FILES[name]
    file = tmp_path / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    (problem,) = catalog(files=[file], only="").problems
    place = problem.place

    assert place is not None
    assert (str(file), *where) == (place.file, place.line, place.column)
    assert text.splitlines()[where[0] - 1] == place.text
    assert str(file) == problem.to_json()["file"]


def test_nothing_in_the_file_is_wrong(tmp_path: Path) -> None:
    """A file that only lacks something has no place to show."""
    file = tmp_path / "empty.py"
    file.write_text("x = 1\n", encoding="utf-8")

    assert [None] == [problem.place for problem in catalog(files=[file], only="").problems]
