"""`check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import TINY, Run


def test_right(run: Run, tiny: Path) -> None:
    """One line a spec, with what is most worth knowing."""
    done = run("check", "tiny.yaml", "pocket-mistral", "tiny.yaml", "--set", "layers=4")

    assert (0, "") == (done.code, done.err)
    assert (
        "ok: tiny, 4 layers, 41,248 parameters\n"
        "ok: pocket-mistral, 4 layers, 902,272 parameters\n"
        "ok: tiny, 4 layers, 41,248 parameters\n"
    ) == done.out


def test_several_files_at_once(run: Run, tiny: Path) -> None:
    """A wrong file does not keep the others from being checked."""
    (tiny.parent / "wrong.yaml").write_text(TINY.replace("theta", "tehta"), encoding="utf-8")
    done = run("check", "wrong.yaml", "tiny.yaml", "missing.yaml")

    assert 1 == done.code
    assert "ok: tiny, 8 layers, 78,368 parameters\n" == done.out
    assert (
        "wrong.yaml:18:27: blocks.full.rope.tehta: unknown option 'tehta' [E301]\n"
        "   18 |     rope: {type: default, tehta: 10000.0}\n"
        "      |                           ^^^^^\n"
        "   hint: did you mean 'theta'?\n"
        "cannot read missing.yaml: No such file or directory [E101]\n"
    ) == done.err


def test_json(run: Run, tiny: Path) -> None:
    """A list of problems, empty when all is well; each names the spec it is about."""
    tiny.write_text(TINY.replace("hidden_size: 32", "hidden_size: '32'"), encoding="utf-8")
    done, fine = (
        run("check", "tiny.yaml", "pocket-mistral", "--json"),
        run("check", "pocket-mistral", "--json"),
    )

    assert (1, "", 0, "[]\n", "") == (done.code, done.err, fine.code, fine.out, fine.err)
    assert [
        {
            "spec": "tiny.yaml",
            "code": "E303",
            "message": "expected a whole number, found '32'",
            "file": "tiny.yaml",
            "line": 4,
            "column": 14,
            "width": 4,
            "path": "hidden_size",
            "expected": "a whole number",
            "found": "'32'",
            "hint": "remove the quotes",
        }
    ] == json.loads(done.out)


def test_all_at_once(run: Run, tiny: Path) -> None:
    """A wrong shape does not hide mistakes in the pattern and in options."""
    text = TINY.replace("vocab_size", "vocab_sze").replace("head_dim: 8", "head_dim: 0")
    text = text.replace("hidden_act: silu", "hidden_act: slu").replace("swa×3", "sws×3")
    tiny.write_text(text, encoding="utf-8")

    assert [3, 17, 25, 10] == [
        problem["line"] for problem in json.loads(run("check", "tiny.yaml", "--json").out)
    ]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("layers: 8", "layers: eight\nremainder: trunc", {11, 12}),
        ("norm: {kind: rms, eps: 1.0e-5}", "norm: {kind: rsm}", {6}),
        ("  swa:\n    extends: full", "  swa:\n    extends: [full]", {20}),
        ("pattern: full, swa×3", "pattern: {a: 3}", {10}),
        ("hidden_size: 32\n", "", {1}),
    ],
)
def test_nothing_is_made_up(run: Run, tiny: Path, old: str, new: str, lines: set[int]) -> None:
    """What follows from a mistake is not told as another one."""
    tiny.write_text(TINY.replace(old, new), encoding="utf-8")

    assert lines == {problem["line"] for problem in json.loads(run("check", "tiny.yaml", "--json").out)}


def test_what_is_used_later(run: Run, tiny: Path) -> None:
    """The family of the weights and the options of generation are looked at, where the spec has them."""
    tiny.write_text(TINY + "weights: mistrl\ngeneration: {temprature: 1.0}\n", encoding="utf-8")
    lines = [line for line in run("check", "tiny.yaml").err.splitlines() if "[E" in line]

    assert [
        "tiny.yaml:33:10: weights: no family is called 'mistrl' [E539]",
        "tiny.yaml:34:14: generation.temprature: no generation option has this name [E740]",
    ] == lines


def test_stdin(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec may come through a pipe."""
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO(TINY))

    assert "ok: tiny, 8 layers, 78,368 parameters\n" == run("check", "-").out


def test_json_of_a_file_that_is_not_there(run: Run, tiny: Path) -> None:
    """A program is told which file it is about, though no line of it is."""
    (problem,) = json.loads(run("check", "nope.yaml", "--json").out)

    assert ("E101", "nope.yaml", None) == (problem["code"], problem["file"], problem["line"])


def test_a_typed_pattern_is_mended_on_the_command_line(run: Run) -> None:
    """Nobody is told to change a spec that comes with the package."""
    done = run("show", "swa×2, swa", "--like", "pocket-mistral")
    hint = "   hint: write --set layers=3 or 6, or write --set remainder=truncate"

    assert (1, hint) == (done.code, done.err.splitlines()[-1])
