"""Errors of the verbs about plugins, and of the options that name them: codes, words and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.cli import main

BARE = """
from pydantic import Field
from composer import Block

class Bare(Block):
    kind = "bare"
    size: int = Field(description="A size.")
"""
FILES = {
    "bare.py": BARE,
    "boom.py": "raise RuntimeError('boom')\n",
    "syntax.py": "class X(:\n",
    "empty.py": "x = 1\n",
    "clash.py": BARE.replace('"bare"', '"mlp"'),
    "words.txt": "",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "mine").mkdir()


OWN = "give a name of your own, such as my-mixer"
MISTAKES = [
    (["plugins", "new", "json"],
     "'json' is a module of Python's own library, which it would hide [E915]", OWN),
    (["plugins", "new", "mamba2"],
     "'mamba2' is the name of a kind or a plugin that there is already [E915]", OWN),
    (["plugins", "new", "pytest"], "'pytest' is the name of a distribution that is installed [E915]", OWN),
    (["plugins", "new", "yaml"], "'yaml' is the name of a package that is installed: yaml [E915]", OWN),
    (["plugins", "new", "class"], "'class' means something else in Python or in a package [E915]", OWN),
    (["plugins", "new", "../up"],
     "'../up' cannot be the name of a package: it has letters, digits and single - between them [E915]", OWN),
    (["plugins", "new", "7-up"],
     "'7-up' cannot be the name of a package: it has letters, digits and single - between them [E915]", OWN),
    (["plugins", "new", "x" * 41], f"{'x' * 41!r} is longer than 40 letters [E915]", OWN),
    (["plugins", "new", "mine"],
     "there is a folder mine already [E912]", "give another name, or another folder with -o"),
    (["plugins", "new", "my-own", "-o", "words.txt"],
     "there is a file words.txt already [E912]", "give another name, or another folder with -o"),
    (["check", "pocket-mistral", "--plugin", "nowhere.py"],
     "there is no file nowhere.py [E916]", "give the path of a Python file"),
    (["plugins", "test", "nowhere.py"], "there is no file nowhere.py [E916]", "give the path of a Python file"),
    (["schema", "--plugin", "folder.py"], "folder.py is a folder [E916]",
     "name the file with the block; a folder that is a package is installed, with pip install -e"),
    (["plugins", "--plugin", "words.txt"],
     "words.txt is no Python file [E916]", "a plugin's file ends in .py"),
    (["plugins", "show", "attenton"],
     "no plugin offers a block of kind 'attenton' [E917]",
     "did you mean 'attention'?; if it is in a file: --plugin FILE.py"),
    (["plugins", "test", "arch-composr"],
     "no kind, plugin or distribution is called 'arch-composr' [E917]", "did you mean 'arch-composer'?"),
    (["plugins", "test", "mine"], "no kind, plugin or distribution is called 'mine' [E917]",
     "a folder is not tested: install it, as with pip install -e, and give its name"),
    (["plugins", "test", "bare.py"], "the kind 'bare' has no samples, so there is nothing to try [E918]", None),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message", "hint"), MISTAKES, ids=lambda v: " ".join(v)[:40] if v else "")
def test_wrong_usage(
    words: list[str], message: str, hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence on stderr, nothing on stdout, exit code 2, and nothing is written."""
    before = sorted(Path().iterdir())
    code = main(words)
    out, err = capsys.readouterr()

    assert (2, "", before) == (code, out, sorted(Path().iterdir()))
    assert message == err.splitlines()[0]
    assert hint is None or [f"   hint: {hint}"] == err.splitlines()[1:]


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("boom.py", "RuntimeError: boom [E401]"),
        ("syntax.py", "[E401]"),
        ("empty.py", "local plugin {}: it "),
        (
            "clash.py",
            "the kind 'mlp' is offered by 'mlp' of arch-composer and the file {}; none of them is used",
        ),
    ],
)
@pytest.mark.parametrize(
    "words", [["check", "pocket-mistral", "--plugin"], ["plugins", "test"], ["plugins", "list", "--plugin"]]
)
def test_a_file_that_cannot_be_used(
    words: list[str], file: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever names it is told why, with its path; `check` does not go on without it, also where it could."""
    code = main([*words, file])
    out, err = capsys.readouterr()

    assert 1 == code
    assert str(Path(file).absolute()) in err
    assert says.format(Path(file).absolute()) in err
    assert ("list" in words) == (f"local ({Path(file).absolute()})" in out)


def test_a_limit_to_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name in --only-plugins stops the verb; alone it would say that a kind is not installed."""
    code = main(["check", "pocket-mistral", "--only-plugins", "attention,mpl"])

    assert 1 == code
    assert (
        "mpl: --only-plugins names the plugin 'mpl', which is not installed [E409]\n"
        in capsys.readouterr().err
    )


def test_problems_are_data_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Under --json what is wrong is JSON once, also where a verb of `plugins` says it."""
    code = main(["plugins", "show", "attenton", "--json"])
    out = capsys.readouterr().out

    assert (2, 1) == (code, out.count('"problems"'))
    assert '"code": "E917"' in out
