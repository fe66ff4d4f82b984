"""`train` as users call it: a spec and a folder of text in, a checkpoint folder out."""

from __future__ import annotations

import bisect
import inspect
import json
import keyword
import string
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import composer
from composer.train import TrainOptions, train

SPEC = """
composer: 1
name: tiny
vocab_size: 400
hidden_size: 16
norm: {kind: rms, eps: 1.0e-5}
layer: [{norm: rms, mix: mixer}, {norm: rms, mix: mlp}]
pattern: swa, full
blocks:
  swa: {kind: attention, num_attention_heads: 2, sliding_window: 8, rope: {theta: 1.0e4}}
  full: {kind: attention, num_attention_heads: 2, attention_dropout: 0.1, rope: {theta: 1.0e4}}
  mlp: {kind: mlp, intermediate_size: 24, hidden_act: silu, gated: true}
head: {tied: true}
"""
FEW: dict[str, Any] = {
    "steps": 9,
    "batch_size": 2,
    "context": 24,
    "warmup_steps": 2,
    "learning_rate": 1e-2,
    "log_every": 2,
    "save_every": 4,
    "held_out_percent": 10,
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four modules of the standard library; `keyword.py`, the smallest, is held out."""
    folder = tmp_path_factory.mktemp("text")
    for module in (bisect, keyword, string, textwrap):
        (folder / f"{module.__name__}.py").write_text(inspect.getsource(module), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def whole(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    report = train(SPEC, text, out, **FEW)
    assert report.steps == 9
    assert report.tokens == 9 * 2 * 24
    return out


def lines(out: Path) -> list[dict[str, float]]:
    """loss.jsonl without its timing."""
    found = [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "tokens_per_s"} for line in found]


def test_the_log_has_a_line_for_every_second_step(whole: Path) -> None:
    """Step, tokens, loss, rate, gradient norm, speed; then the figure of the held-out files."""
    log = [json.loads(line) for line in (whole / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4, 6, 8, 9, 9]
    assert list(log[0]) == ["step", "tokens", "loss", "lr", "grad_norm", "tokens_per_s"]
    assert log[-1].keys() == {"step", "held_out_bits_per_byte"}
    assert log[4]["loss"] < log[0]["loss"]


def test_the_checkpoint_loads_and_is_the_model_that_was_trained(whole: Path) -> None:
    """Its weights are those of the last state, and its tokenizer is the one that was learnt."""
    from safetensors.torch import load_file

    model = composer.load(whole / "checkpoint")
    state = load_file(whole / "state.safetensors")
    assert all(torch.equal(p, state[f"weights.{name}"]) for name, p in model.named_parameters())
    tokenizer = composer.load_tokenizer(whole / "checkpoint")
    assert tokenizer.vocab_size == model.plan.sizes.vocab_size
    assert tokenizer.decode(tokenizer.encode("if x:\n\treturn")) == "if x:\n\treturn"


def test_nothing_else_is_left_in_the_folder(whole: Path) -> None:
    """The token files go when the run ends."""
    names = {"checkpoint", "loss.jsonl", "run.json", "state.safetensors", "tokenizer"}
    assert {path.name for path in whole.iterdir()} == names


def test_a_resumed_run_equals_an_uninterrupted_one(
    whole: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, optimizer, random state and log, to the last bit; dropout included."""
    from composer.train import loop

    step = loop.Loop._step

    def breaks(self: loop.Loop) -> tuple[float, float]:
        if self.progress.step == 7:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(loop.Loop, "_step", breaks)
    with pytest.raises(KeyboardInterrupt):
        train(SPEC, text, tmp_path, **FEW)
    monkeypatch.undo()
    torch.manual_seed(1234)
    report = train(SPEC, text, tmp_path, resume=True, **FEW)
    for name in ("state.safetensors", "checkpoint/model.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    assert lines(tmp_path) == lines(whole)
    assert report.held_out_bits_per_byte is not None
    assert round(report.held_out_bits_per_byte, 5) == lines(whole)[-1]["held_out_bits_per_byte"]


def test_resuming_a_finished_run_changes_nothing(whole: Path, text: Path) -> None:
    """It reports the figures again."""
    before = (whole / "state.safetensors").read_bytes()
    report = train(SPEC, text, whole, resume=True, **FEW)
    assert (whole / "state.safetensors").read_bytes() == before
    assert report.held_out_bits_per_byte is not None


def test_resuming_takes_the_options_of_the_first_run(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what may change need be said, and files and log lines are what may."""
    spec = composer.read_spec("pocket-mistral", set=["layers=1", "vocab_size=400", "hidden_size=16"])
    options = {**FEW, "seed": 3, "steps": 4, "save_every": 2, "log_every": 1}
    train(spec, text, tmp_path, **options)
    train(spec, text, tmp_path, resume=True, layout="hf", log_every=3)
    found = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))

    assert (3, 4, "composer") == (found["seed"], found["steps"], found["layout"])
    assert (tmp_path / "checkpoint/config.json").is_file()
    assert 1 == len(composer.load(tmp_path / "checkpoint").plan.layers)


def test_a_given_tokenizer_is_used_as_it_is(whole: Path, text: Path, tmp_path: Path) -> None:
    """And travels into the checkpoint byte for byte."""
    train(SPEC, text, tmp_path, **{**FEW, "steps": 1, "tokenizer": whole / "tokenizer"})
    used = (tmp_path / "checkpoint/tokenizer.json").read_bytes()
    assert used == (whole / "tokenizer/tokenizer.json").read_bytes()


def test_a_run_that_never_saved_is_begun_again(text: Path, tmp_path: Path) -> None:
    """Other options are welcome then: nothing is lost."""
    with pytest.raises(composer.ComposerError, match="context"):
        train(SPEC, text, tmp_path, **{**FEW, "context": 10**6})
    assert train(SPEC, text, tmp_path, **{**FEW, "steps": 1}).steps == 1


def test_bf16_arithmetic_trains_the_real_model(text: Path, whole: Path, tmp_path: Path) -> None:
    """Close to float32, and not equal; the checkpoint stays in float32."""
    train(SPEC, text, tmp_path, **{**FEW, "dtype": "bfloat16"})
    ours, theirs = (lines(out)[-2]["loss"] for out in (tmp_path, whole))
    assert ours != theirs
    assert ours == pytest.approx(theirs, rel=0.02)
    assert composer.load(tmp_path / "checkpoint").dtype == torch.float32


def test_every_option_is_described() -> None:
    """The command line takes its help from here."""
    assert all(field.description for field in TrainOptions.model_fields.values())
