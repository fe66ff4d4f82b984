"""Every error of the command line: its code, its words and its exit code; never a traceback."""

from __future__ import annotations

import errno
import io
import re
import sys
from pathlib import Path

import pytest

from composer.cli import main, models

FOLDER = "give a checkpoint folder, a spec file or the name of a spec"
SPEC = "give a checkpoint folder: downloaded, or the folder `checkpoint` of a training run"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPOSER_DEBUG", raising=False)
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "spec.yaml").write_text("extends: pocket-mistral\n", encoding="utf-8")


MISTAKES = [
    (["show", "empty"], 1,
     "the folder empty holds no composer.yaml and no config.json of a sensible size [E904]", FOLDER),
    (["show", "swa", "--like", "empty"], 2,
     "--like takes the name or the file of a spec, not 'empty' [E905]", ""),
    (["generate", "mistral-7b-v0.1", "x"], 2,
     "mistral-7b-v0.1 is a spec, and a spec has no weights [E906]", SPEC),
    (["generate", "spec.yaml", "x"], 2,
     "spec.yaml is a spec, and a spec has no weights [E906]", SPEC),
    (["generate", "empty", "x", "--dtype", "bf16"], 2,
     "no dtype is called 'bf16' [E907]", "did you mean 'bfloat16'?"),
    (["generate", "pocket-mistrall", "x"], 2,
     "there is no folder and no shipped model 'pocket-mistrall' [E908]", "did you mean 'pocket-mistral'?"),
    (["generate", "empty", "x"], 1,
     "there is no tokenizer.json in 'empty' [E601]",
     "a checkpoint folder of the Hugging Face layout has a tokenizer.json"),
    (["generate", "empty", "x", "--temperature", "-1"], 2,
     "temperature: should be greater than or equal to 0, found -1.0 [E742]", ""),
    (["train", "spec.yaml", "--text", "empty", "--out", "run", "--steps", "0"], 2,
     "steps: steps should be greater than or equal to 1, found '0' [E950]", ""),
    (["verify", "empty", "--set", "layers=2"], 2,
     "--set changes a spec, and empty is a checkpoint folder [E909]",
     "verify the folder as it is, or the spec with --set"),
    (["init", "nowhere/mine", "--like", "spec.yaml"], 2,
     "there is no folder 'nowhere' [E911]", "make the folder first"),
    (["init", "..", "--like", "spec.yaml"], 2,
     "'..' cannot be the name of a spec [E911]", "give a name such as my-model"),
    (["init", "spec", "--like", "pocket-mistral"], 2,
     "spec.yaml is there already [E912]", "give another name, or --force to replace it"),
    (["init", "folder.yaml", "--like", "pocket-mistral", "--force"], 2,
     "folder.yaml is a folder [E912]", "give another name"),
    (["import", "nowhere"], 2,
     "there is no file and no folder 'nowhere' [E913]", "give a config.json"),
    (["import", "spec.yaml"], 2,
     "spec.yaml is a spec already, and import reads a config.json, a params.json or a folder with one [E913]",
     "to look at it: show spec.yaml; to start a spec of your own from it: init NAME --like spec.yaml"),
    (["import", "pocket-zamba2"], 2,
     "pocket-zamba2 is a spec already, and import reads a config.json, a params.json or a folder with one [E913]",
     "to look at it: show pocket-zamba2; to start a spec of your own from it: init NAME --like pocket-zamba2"),
    (["import", "empty"], 2,
     "empty is no configuration of a published model and holds none of a sensible size [E913]",
     "give a config.json, a params.json or their folder"),
    (["export", "spec.yaml", "-o", "spec.yaml"], 2,
     "spec.yaml is a file [E912]", "give another name"),
    (["export", "spec.yaml", "-o", "."], 2,
     ". holds files already [E912]", "give another name, or --force to write into it"),
    (["export", "spec.yaml", "-o", "out", "--layout", "gguf"], 1,
     "no layout is called 'gguf' [E523]", "one of: hf, composer, mistral, zyphra"),
    (["show", "mixer: swa; swa", "--like", "spec.yaml"], 1,
     "<pattern>:1:13: pattern: expected the name of a track [E202]", None),
    (["show", "mixer: swa; mixer: swa", "--like", "spec.yaml"], 1,
     "<pattern>:1:20: pattern: the track 'mixer' stands twice [E202]", None),
    (["check", "nothing"], 1, "there is no file and no shipped spec 'nothing' [E310]", None),
    (["show", "spec.yaml", "--set", "layers"], 1, "--set:1:1: 'layers' is not path=value [E317]", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_mistakes(
    words: list[str], code: int, message: str, hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence on stderr, nothing on stdout, 1 for what is wrong and 2 for wrong usage."""
    ended = main(words)
    out, err = capsys.readouterr()

    assert (code, "") == (ended, out)
    assert message == err.splitlines()[0]
    assert hint is None or [f"   hint: {hint}"] * bool(hint) == err.splitlines()[1:]


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A device is tried before anything is loaded; torch says why not in its own words."""
    code = main(["generate", "empty", "x", "--device", "abacus"])

    assert 2 == code
    assert re.match(
        r"device: the device 'abacus' cannot be used: .+ \[E716\]\n   hint: cpu always can\n$",
        capsys.readouterr().err,
    )


USAGE = [
    (["shw"], "no verb is called 'shw'; did you mean 'show'?", "arch-composer"),
    (["nothing-like-it"], "no verb is called 'nothing-like-it'; the verbs are check, ", "arch-composer"),
    (["show"], "Missing argument 'MODEL'.", "arch-composer show"),
    (["show", "x", "--contxt", "3"], "No such option", "arch-composer show"),
    (["show", "x", "--context", "0"], "Invalid value for '--context': 0 is not in the range", "arch-composer show"),
    (["train", "x"], "Missing option '--text'.", "arch-composer train"),
    (["generate", "x", "--max-new-tokens", "many"], "Invalid value for '--max-new-tokens'", "arch-composer generate"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message", "verb"), USAGE)
def test_usage(words: list[str], message: str, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be understood is exit code 2 and one line, and where help is."""
    code = main(words)
    out, err = capsys.readouterr()

    assert (2, "") == (code, out)
    assert err.startswith(f"error: {message}")
    assert err.endswith(f"\n   hint: {verb} --help\n")


RAISED = [
    (RuntimeError("a\nb"), 1, "internal error: RuntimeError: a\nb [E901]\n   hint: this is a fault of the program; "
     "COMPOSER_DEBUG=1 shows where, please report that with the command\n"),
    (RecursionError("deep"), 1, "internal error: RecursionError: deep [E901]\n   hint: this is a fault of the program; "
     "COMPOSER_DEBUG=1 shows where, please report that with the command\n"),
    (MemoryError(), 1, "error: there is not enough memory for this [E902]\n"),
    (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), 1, "error: there is not enough memory for this [E902]\n"),
    (OSError(errno.ENOSPC, "No space left on device", "x"), 1,
     "error: [Errno 28] No space left on device: 'x' [E903]\n"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "code", "message"), RAISED, ids=lambda v: type(v).__name__)
def test_what_may_happen(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever goes wrong ends in an exit code and words."""

    def fall(*_: object) -> None:
        raise error

    monkeypatch.setattr(models, "read_model", fall)
    ended = main(["show", "pocket-mistral"])
    out, err = capsys.readouterr()

    assert (code, "", message) == (ended, out, err.lstrip("\n"))


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who ask get the exception itself."""

    def fall(*_: object) -> None:
        raise ZeroDivisionError("x")

    monkeypatch.setattr(models, "read_model", fall)
    with pytest.raises(ZeroDivisionError):
        main(["show", "pocket-mistral", "--debug"])
    monkeypatch.setenv("COMPOSER_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["show", "pocket-mistral"])


def test_many_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fifty are told, then how many there are."""
    entries = "".join(f"  b{n}: {{kind: mlp, intermediate_size: 0, hidden_act: silu}}\n" for n in range(60))
    (tmp_path / "many.yaml").write_text(f"extends: pocket-mistral\nblocks:\n{entries}", encoding="utf-8")
    code = main(["check", "many.yaml"])
    err = capsys.readouterr().err

    assert (1, 50) == (code, err.count("[E304]"))
    assert err.endswith("10 more problems are not shown [E116]\n")


@pytest.mark.parametrize("given", [None, b"name: caf\xe9\n"])
def test_stdin_that_cannot_be_read(
    given: bytes | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A closed stdin and one in another encoding are told alike."""
    stdin = None if given is None else io.TextIOWrapper(io.BytesIO(given), encoding="ascii")
    monkeypatch.setattr(sys, "stdin", stdin)
    hint = "give a file, or pipe text into it"

    assert 2 == main(["check", "-"])
    assert f"stdin is closed or no UTF-8 text [E910]\n   hint: {hint}\n" == capsys.readouterr().err


def test_stdin_is_utf8_in_any_locale(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The letter × comes through a pipe where the locale does not know it."""
    spec = "extends: pocket-mistral\npattern: swa×4\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(spec), encoding="ascii"))

    assert 0 == main(["check", "-"])
    assert "ok: pocket-mistral, 4 layers, 902,272 parameters\n" == capsys.readouterr().out
