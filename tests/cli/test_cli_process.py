"""The command as a process: what it imports, what it costs, encodings, pipes and interrupts."""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from composer.cli.plugins import Plugins
from composer.cli.verbs import VERBS, verbs

from ..prove import FULL, at_most, cases
from .conftest import ROOT, TINY, Run, process

DESCRIBING = [
    ("check", "mistral-7b-v0.1"),
    ("check", "tests/errors/spec_right.yaml"),
    ("fmt", "--check", "tests/errors/spec_right.yaml"),
    ("show", "mistral-7b-v0.1"),
    ("show", "mistral-7b-instruct-v0.3", "--json", "--plan"),
    ("show", "swa×3, swa(sliding_window=null)", "--like", "mistral-7b-v0.1"),
    ("import", "specs/pocket-mistral"),
    ("export", "--help"),
    ("init", "--help"),
    ("schema",),
    ("plugins",),
    ("plugins", "show", "attention"),
    ("plugins", "new", "--help"),
    ("plugins", "test", "--help"),
    ("check", "pocket-mistral", "--only-plugins", "attention,mlp"),
    ("--help",),
    ("generate", "--help"),
    ("train", "--help"),
]


@pytest.mark.parametrize("words", DESCRIBING, ids=" ".join)
def test_describing_imports_no_torch(words: tuple[str, ...]) -> None:
    """What only describes leaves torch and all that goes with it alone."""
    code = (
        "import sys; from composer.cli import main; code = main(sys.argv[1:]);"
        "print(code, sorted({'torch', 'numpy', 'tokenizers', 'safetensors'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "0 []\n" == done.stderr


@pytest.mark.parametrize("words", DESCRIBING[: cases(1, 99)], ids=" ".join)
def test_describing_is_quick(words: tuple[str, ...], tmp_path: Path) -> None:
    """CPU seconds of the whole process, modules compiled before; a bound that only `prove` holds."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    times = []
    for _ in range(cases(1, 12)):
        before = os.times()
        command = [sys.executable, "-m", "composer", *words]
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        times.append(
            after.children_user - before.children_user + after.children_system - before.children_system
        )

    bound = 0.3 if FULL else 3600  # a slow machine or another load is no fault of the code
    at_most("CPU seconds of a describing verb, best of 12", min(times), bound, len(times))


def test_both_entrances_are_one(tmp_path: Path) -> None:
    """The command and `python -m composer` say the same under the same name."""
    command = Path(sys.executable).with_name("arch-composer")
    shown = subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout

    assert shown == process("--help").out == process().out
    assert shown.startswith("Usage: arch-composer [OPTIONS] COMMAND")


EVERY = [(name,) for name in VERBS] + [("plugins", name) for name in Plugins.names]


def found(words: tuple[str, ...]) -> click.Command:
    """The verb of some words."""
    verb: click.Command = verbs
    for word in words:
        assert isinstance(verb, click.Group)
        verb = verb.get_command(None, word)  # type: ignore[arg-type, assignment]  # it needs no context, and is there
    return verb


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help(words: tuple[str, ...], run: Run) -> None:
    """Every verb has a line in the list, three examples of its own, and nothing without a sentence."""
    name, shown, verb = " ".join(words), run(*words, "--help").out, found(words)
    (line,) = [
        each for each in run(*words[:-1], "--help").out.splitlines() if each.split()[:1] == [words[-1]]
    ]

    assert re.search(r"[a-z]\.$", line)
    assert 3 == len(re.findall(rf"^  (?:COMPOSER_PLUGINS=\S+ )?arch-composer {name}\b", shown, re.MULTILINE))
    assert [] == [p.name for p in verb.params if isinstance(p, click.Option) and not p.help]


def test_examples_are_right(tiny: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example of a describing verb works as it stands; what the shell does with it is left out."""
    tiny.rename("my-model.yaml")
    Path("specs").mkdir()
    Path("specs/a.yaml").write_text("extends: pocket-mistral\n", encoding="utf-8")
    for name in ("check", "fmt", "show", "plugins", "schema"):
        for example in re.findall(r"^  (.*arch-composer .*)$", run(name, "--help").out, re.MULTILINE):
            before, _, command = re.split("[|>]", example)[0].partition("arch-composer ")
            words = [path for word in shlex.split(command) for path in glob.glob(word) or [word]]
            with monkeypatch.context() as environment:
                for assigned in before.split():
                    environment.setenv(*assigned.split("=", 1))
                done = run(*words)

            assert (0, "") == (done.code, done.err), example


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_encoding(encoding: str, tmp_path: Path) -> None:
    """A pattern with × reaches every terminal; where the letter is not known, * stands for it."""
    (tmp_path / "s.yaml").write_text(TINY.replace("swa×3", "swx×3, 模"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "composer", "check", str(tmp_path / "s.yaml")],
        capture_output=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    err = done.stderr.decode(encoding)

    assert 1 == done.returncode
    assert ("pattern: full, swx*3, \\u6a21" if encoding == "ascii" else "pattern: full, swx×3, ") in err
    assert "Traceback" not in err


def test_plain_locale() -> None:
    """A system without any locale set up shows the shipped models and JSON that is ASCII."""
    done = process("show", "mamba", LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    data = process(
        "show", "swa×2", "--like", "pocket-mistral", "--json", LC_ALL="C", PYTHONIOENCODING="ascii"
    )

    assert (1, True) == (done.code, "Traceback" not in done.err)
    assert "swa×2 like pocket-mistral" == json.loads(data.out)["name"]


def test_a_reader_that_goes_away() -> None:
    """`show … | head -1` ends quietly."""
    with subprocess.Popen(
        [sys.executable, "-m", "composer", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as child:
        for stream in (child.stdout, child.stderr):
            assert stream is not None
        child.stdout.close()  # type: ignore[union-attr]  # asserted
        err = child.stderr.read()  # type: ignore[union-attr]  # asserted

    assert (0, b"") == (child.returncode, err)


def test_interrupted() -> None:
    """Ctrl-C ends with 130 and a word, not with a traceback."""
    code = """
import sys, time
from composer.cli import main
class Slow:
    def read(self):
        print("reading", flush=True)
        time.sleep(60)
sys.stdin = Slow()
sys.exit(main(["check", "-"]))
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as child:
        assert child.stdout is not None
        assert "reading\n" == child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate()

    assert (130, "interrupted") == (child.returncode, err.strip())


def test_version(run: Run) -> None:
    """The version is that of the distribution."""
    from importlib.metadata import version

    assert f"arch-composer {version('arch-composer')}\n" == run("--version").out


def test_surface(run: Run) -> None:
    """Verbs and options change on purpose: the list under version control is the one that there is."""
    lines = []
    for words in EVERY:
        verb, name = found(words), " ".join(words)
        for param in verb.get_params(click.Context(verb)):
            lines.append(f"{name} {' '.join([*param.opts, *param.secondary_opts]) or param.name}")
    path = ROOT / "tests" / "golden" / "command-line.txt"
    if os.environ.get("COMPOSER_GOLDEN") == "1":
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    assert path.read_text(encoding="utf-8").splitlines() == lines
