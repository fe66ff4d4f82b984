"""`fmt`: the pattern in canonical form and no other byte changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from composer.pattern import Word, read_tracks
from composer.source import read_file

from .conftest import TINY, Run

FORMS = [
    ("pattern: full,swa*3", "pattern: full, swa×3"),
    ("pattern:   'full , swa x3'   # note", "pattern:   'full, swa×3'   # note"),
    ('pattern: "(full),(swa)*3"', 'pattern: "full, swa×3"'),
    ("pattern: >-\n  full,\n  swa * 3", "pattern: >-\n  full, swa×3"),
    ("pattern: ['full', \"swa*3\"]  # two", "pattern: ['full', \"swa×3\"]  # two"),
    ("pattern: ['(full,', 'swa*3)']", "pattern: ['(full,', 'swa*3)']"),
    ("pattern: full, swa×3", "pattern: full, swa×3"),
    ("pattern: full,(swa)*rest", "pattern: full, swa×rest"),
    (
        "pattern:\n  mixer: full,swa*3  # one\n  # two\n  ffn:\n  - 'mlp*2'\n  - mlp,",
        "pattern:\n  mixer: full, swa×3  # one\n  # two\n  ffn:\n  - 'mlp×2'\n  - mlp",
    ),
    ("pattern: {mixer: 'full,swa*3', ffn: mlp }", "pattern: {mixer: 'full, swa×3', ffn: mlp }"),
    ("pattern: {mixer: full, ffn: swa *3}", "pattern: {mixer: full, ffn: swa×3}"),
    ("pattern: {mixer: &p full *2, ffn: *p }", "pattern: {mixer: &p full×2, ffn: *p }"),
]


def expanded(file: Path) -> list[dict[str, Word]]:
    """The layers of a spec file."""
    written = read_file(file).data["pattern"]
    return [dict(row) for row in read_tracks(written).expand(12)]


@pytest.mark.parametrize(("written", "canonical"), FORMS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_only_the_pattern_changes(run: Run, tiny: Path, written: str, canonical: str, ending: str) -> None:
    """Comments, quotes, line ends and the byte order mark stay, and the layers are the same."""
    before, after = (
        ("\ufeff# first\n" + TINY.replace("pattern: full, swa×3", form)).replace("\n", ending).encode()
        for form in (written, canonical)
    )
    tiny.write_bytes(before)
    layers = expanded(tiny)
    done = run("fmt", "tiny.yaml")

    assert (0, "") == (done.code, done.out)
    assert after == tiny.read_bytes()
    assert layers == expanded(tiny)
    assert (["tiny.yaml"], "") == (os.listdir(), run("fmt", "tiny.yaml").err)


def test_check_and_diff_change_nothing(run: Run, tiny: Path) -> None:
    """--check says so by its exit code, --diff by a patch."""
    tiny.write_text(TINY.replace("swa×3", "swa*3"), encoding="utf-8")
    before = tiny.read_bytes()
    check, diff = run("fmt", "--check", "tiny.yaml"), run("fmt", "--diff", "tiny.yaml")

    assert before == tiny.read_bytes()
    assert (1, "", "tiny.yaml: the pattern would be in canonical form\n") == (
        check.code,
        check.out,
        check.err,
    )
    assert 0 == diff.code
    assert ["-pattern: full, swa*3", "+pattern: full, swa×3"] == [
        line for line in diff.out.splitlines() if line[1:].startswith("pattern")
    ]


def test_check_of_a_formatted_file(run: Run, tiny: Path) -> None:
    """Nothing is said when nothing is to be done."""
    assert (0, "", "") == (
        run("fmt", "--check", "tiny.yaml").code,
        *run("fmt", "--diff", "tiny.yaml").out,
        "",
        "",
    )[:3]


def test_mode_and_links_stay(run: Run, tiny: Path) -> None:
    """The file keeps its permissions, and a link to it stays a link."""
    tiny.write_text(TINY.replace("swa×3", "swa*3"), encoding="utf-8")
    tiny.chmod(0o640)
    link = tiny.parent / "link.yaml"
    link.symlink_to(tiny)
    run("fmt", "link.yaml")

    assert (True, 0o640) == (link.is_symlink(), tiny.stat().st_mode & 0o777)
    assert "swa×3" in tiny.read_text(encoding="utf-8")


def test_wrong_files_are_left_alone(run: Run, tiny: Path) -> None:
    """A pattern that cannot be read is told, and the other files are formatted all the same."""
    wrong = tiny.parent / "wrong.yaml"
    wrong.write_text("pattern: full,,swa\n", encoding="utf-8")
    (tiny.parent / "none.yaml").write_text("extends: pocket-mistral\n", encoding="utf-8")
    tiny.write_text(TINY.replace("swa×3", "swa*3"), encoding="utf-8")
    done = run("fmt", "wrong.yaml", "none.yaml", "tiny.yaml")

    assert 1 == done.code
    assert done.err.startswith("wrong.yaml:1:15: pattern: expected the name of a block, found ',' [E202]\n")
    assert done.err.endswith("tiny.yaml: the pattern is now in canonical form\n")
    assert "pattern: full,,swa\n" == wrong.read_text(encoding="utf-8")
