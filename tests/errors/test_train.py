"""Every mistake a training run can be asked to make, and what it says."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.errors import CallError, TextError, UsageError, WeightsError
from composer.train import TrainOptions, train

SPEC = """
composer: 1
name: tiny
vocab_size: 400
hidden_size: 8
norm: {kind: rms, eps: 1.0e-5}
pattern: full
blocks:
  full: {kind: attention, num_attention_heads: 2, rope: {theta: 1.0e4}}
head: {tied: true}
"""
FEW: dict[str, Any] = {"steps": 1, "batch_size": 1, "context": 16, "warmup_steps": 0}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A folder with one file, enough for a vocabulary of 400."""
    folder = tmp_path / "text"
    folder.mkdir()
    words = [a + b + c for a in string.ascii_lowercase for b in "aeiou" for c in "nrst"]
    (folder / "a.txt").write_text(" ".join(words) * 3, encoding="utf-8")
    return folder


def refused(code: str, call: Callable[[], object]) -> str:
    """The message of the error that `call` must raise."""
    with pytest.raises(UsageError) as caught:
        call()
    assert code in {problem.code for problem in caught.value.problems}
    return str(caught.value)


def test_e950_every_wrong_option_at_once() -> None:
    """Unknown names with a suggestion, values with their bounds."""
    message = refused("E950", lambda: TrainOptions(stepz=1, beta1=1.0, dtype="float16"))
    assert "training has no option 'stepz'" in message
    assert "did you mean 'steps'?" in message
    assert "beta1 should be less than 1, found '1.0'" in message
    assert "dtype should be 'float32' or 'bfloat16', found 'float16'" in message


@pytest.mark.parametrize("device", ["toaster", "cuda:77", "meta:x"])
def test_e716_a_device_that_is_not_there(text: Path, tmp_path: Path, device: str) -> None:
    """Said before any work is done."""
    with pytest.raises(CallError) as caught:
        train(SPEC, text, tmp_path / "out", device=device)
    assert caught.value.code == "E716"
    assert f"the device '{device}' cannot be used" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_e951_no_folder_and_no_text(tmp_path: Path) -> None:
    """Both name the folder."""
    missing = refused("E951", lambda: train(SPEC, tmp_path / "nowhere", tmp_path / "out", **FEW))
    assert "there is no folder" in missing
    assert "nowhere" in missing
    empty = refused("E951", lambda: train(SPEC, tmp_path, tmp_path / "out", **FEW))
    assert "ends in .txt, .md, .rst, .py" in empty


def test_e952_too_little_text(text: Path, tmp_path: Path) -> None:
    """Too few tokens for a row, or too few words for a vocabulary."""
    rows = refused("E952", lambda: train(SPEC, text, tmp_path / "out", **{**FEW, "context": 10**6}))
    assert "rows of 1,000,000 need at least 2,000,000" in rows
    (text / "a.txt").write_text("short", encoding="utf-8")
    words = refused("E952", lambda: train(SPEC, text, tmp_path / "out2", **FEW))
    assert "the text yields only" in words
    assert "the spec's vocab_size is 400" in words
    assert re.search(r"--set vocab_size=\d+ makes the spec fit", words)


def test_e953_a_vocabulary_that_does_not_fit(text: Path, tmp_path: Path) -> None:
    """A given tokenizer of another size, or a size without room for the bytes."""
    train(SPEC, text, tmp_path / "first", **FEW)
    spec = SPEC.replace("400", "401")
    tokenizer = tmp_path / "first/tokenizer"
    other = refused("E953", lambda: train(spec, text, tmp_path / "out", tokenizer=tokenizer, **FEW))
    assert "the tokenizer has 400 tokens and the spec's vocab_size is 401" in other
    assert "--set vocab_size=400" in other
    small = refused("E953", lambda: train(SPEC.replace("400", "100"), text, tmp_path / "out2", **FEW))
    assert "vocab_size is 100; a byte-fallback vocabulary starts at" in small


@pytest.mark.parametrize(("line", "code"), [("", "E524"), ("weights: mistral\n", "E536")])
def test_a_layout_that_cannot_be_saved(text: Path, tmp_path: Path, line: str, code: str) -> None:
    """Said before the first step, and nothing is written."""
    with pytest.raises(WeightsError) as caught:
        train(SPEC + line, text, tmp_path / "out", layout="hf", **FEW)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_is_not_there(text: Path, tmp_path: Path) -> None:
    """The text room's own error, before anything is written."""
    with pytest.raises(TextError) as caught:
        train(SPEC, text, tmp_path / "out", tokenizer=tmp_path / "nowhere", **FEW)
    assert caught.value.code == "E601"
    assert not (tmp_path / "out").exists()


def test_e954_a_folder_that_is_not_ours(text: Path, tmp_path: Path) -> None:
    """Nothing in it is touched."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years of work")
    message = refused("E954", lambda: train(SPEC, text, tmp_path / "out", resume=True, **FEW))
    assert "is not empty and holds no training run" in message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("out", ["text/a.txt/out", "full"])
def test_e954_a_folder_that_cannot_be_written(
    text: Path, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a file, or on a full disk: the system's reason is given."""
    from composer.train import run

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if out == "full":
        monkeypatch.setattr(run, "save_state", full)
    message = refused("E954", lambda: train(SPEC, text, tmp_path / out, **FEW))
    assert "cannot be written to" in message


def test_e955_resuming_another_run(text: Path, tmp_path: Path) -> None:
    """What differs is named, with both values."""
    train(SPEC, text, tmp_path / "out", **FEW)
    other = {**FEW, "seed": 5, "steps": 2}
    message = refused("E955", lambda: train(SPEC, text, tmp_path / "out", resume=True, **other))
    assert "was started with another seed, another steps" in message
    assert "seed was 0, now 5; steps was 1, now 2" in message
    assert "a run cannot be made longer: its steps shape the learning rate" in message
    (text / "a.txt").write_text("other text " * 100, encoding="utf-8")
    message = refused("E955", lambda: train(SPEC, text, tmp_path / "out", resume=True, **FEW))
    assert "was started with another text" in message


def test_e956_a_loss_that_is_no_number(text: Path, tmp_path: Path) -> None:
    """A rate far too high ends the run, and says what to try."""
    wild = {**FEW, "steps": 50, "learning_rate": 1e30, "clip": None}
    message = refused("E956", lambda: train(SPEC, text, tmp_path / "out", **wild))
    assert "training stops here" in message
    assert "try a lower learning_rate" in message


def test_e957_a_file_that_is_no_text(text: Path, tmp_path: Path) -> None:
    """Named by its path in the folder."""
    (text / "b.txt").write_bytes(b"\xff\xfe\x00")
    message = refused("E957", lambda: train(SPEC, text, tmp_path / "out", **FEW))
    assert "b.txt cannot be read as UTF-8 text" in message


def test_e958_a_run_is_not_overwritten(text: Path, tmp_path: Path) -> None:
    """Going on must be asked for."""
    train(SPEC, text, tmp_path / "out", **FEW)
    message = refused("E958", lambda: train(SPEC, text, tmp_path / "out", **FEW))
    assert "already holds a training run" in message
    assert "resume it" in message


@pytest.mark.parametrize("damage", [b"", b"\x08\0\0\0\0\0\0\0{}", b"x" * 5000])
def test_e959_a_damaged_state(text: Path, tmp_path: Path, damage: bytes) -> None:
    """Cut short, empty or noise: never a traceback."""
    train(SPEC, text, tmp_path / "out", **FEW)
    (tmp_path / "out/state.safetensors").write_bytes(damage)
    message = refused("E959", lambda: train(SPEC, text, tmp_path / "out", resume=True, **FEW))
    assert "state.safetensors cannot be resumed from" in message


def test_e959_the_state_of_another_model(text: Path, tmp_path: Path) -> None:
    """Tensors of other shapes are not squeezed in."""
    train(SPEC, text, tmp_path / "one", **FEW)
    train(SPEC.replace("hidden_size: 8", "hidden_size: 12"), text, tmp_path / "two", **FEW)
    state = (tmp_path / "two/state.safetensors").read_bytes()
    (tmp_path / "one/state.safetensors").write_bytes(state)
    message = refused("E959", lambda: train(SPEC, text, tmp_path / "one", resume=True, **FEW))
    assert "cannot be resumed from" in message
