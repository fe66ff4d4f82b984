"""The training loop, on a double: schedule, decay, clipping, log, resume, evaluation."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from composer.errors import UsageError
from composer.train.evaluate import bits_per_byte
from composer.train.folder import LossLog
from composer.train.loop import Loop
from composer.train.options import TrainOptions
from composer.train.progress import Meter
from composer.train.schedule import clip, make_optimizer, rate
from composer.train.state import Progress, load_state, save_state
from composer.train.tokens import Batches, Tokens

VOCAB = 50
IDS = np.random.default_rng(0).integers(VOCAB, size=3000).astype(np.uint16)
FEW: dict[str, Any] = {"steps": 12, "batch_size": 2, "context": 16, "warmup_steps": 3, "log_every": 5}


class Double(nn.Module):
    """Predicts a token from the one before it, with the call of the real model; has dropout."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed, self.norm = nn.Embedding(VOCAB, 16), nn.LayerNorm(16)
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(16, VOCAB)

    def forward(self, ids: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        logits = self.head(self.drop(self.norm(self.embed(ids))))
        if labels is None:
            return SimpleNamespace(logits=logits)
        loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return SimpleNamespace(logits=logits, loss=loss)


def start(folder: Path, model: nn.Module | None = None, **options: Any) -> Loop:
    """A loop on a double, going on from what `folder` holds."""
    settings = TrainOptions(**{**FEW, **options})
    model = model or Double()
    optimizer, state = make_optimizer(model, settings), folder / "state.safetensors"
    torch.manual_seed(1)
    progress = load_state(state, model, optimizer) if state.exists() else Progress()
    return Loop(
        model,
        optimizer,
        Batches(IDS, settings.batch_size, settings.context, settings.seed),
        settings,
        progress,
        LossLog(folder / "loss.jsonl", progress.step),
        Meter(settings.steps, progress.step, io.StringIO()),
        lambda: save_state(state, model, optimizer, progress),
        lambda: None,
    )


def lines(folder: Path) -> list[dict[str, float]]:
    """The log without its timing."""
    found = [json.loads(line) for line in (folder / "loss.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "tokens_per_s"} for line in found]


def test_a_stopped_run_ends_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    """Weights, optimizer, random state and log are equal to the last bit, wherever the run broke off."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = start(tmp_path / "whole", save_every=4)
    whole.run()
    broken = start(tmp_path / "broken", save_every=4)
    reached, step = [], broken._step

    def failing() -> tuple[float, float]:
        reached.append(broken.progress.step)
        if broken.progress.step == 10:
            raise KeyboardInterrupt
        return step()

    broken._step = failing  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    torch.manual_seed(99)
    start(tmp_path / "broken", Double(seed=7), save_every=4).run()
    broken_state, state = (tmp_path / name / "state.safetensors" for name in ("broken", "whole"))
    assert broken_state.read_bytes() == state.read_bytes()
    assert lines(tmp_path / "broken") == lines(tmp_path / "whole")
    assert [line["step"] for line in lines(tmp_path / "whole")] == [5, 10, 12]


def test_what_does_not_learn_is_saved_and_resumed(tmp_path: Path) -> None:
    """Of a parameter without gradients only its value is kept; each other has its own number of steps."""
    model = Double()
    model.head.bias.requires_grad_(False)
    loop = start(tmp_path, model)
    loop.optimizer.step()
    loop.optimizer.zero_grad()
    model.embed.weight.sum().backward()
    loop.optimizer.step()
    loop.save()
    again = start(tmp_path, Double(seed=7))
    steps = {len(p): s["step"].item() for p, s in again.optimizer.state.items()}

    assert torch.equal(model.head.bias, again.model.head.bias)
    assert {VOCAB: 1.0} == steps


def test_a_log_line_cut_short_is_dropped(tmp_path: Path) -> None:
    """As a crash in the middle of a write leaves it."""
    (tmp_path / "loss.jsonl").write_text('{"step": 5, "loss": 1.0}\n{"step": 10, "loss": 1.0}\n{"step": 1')
    LossLog(tmp_path / "loss.jsonl", 5).write(step=6, loss=2.0)
    assert lines(tmp_path) == [{"step": 5, "loss": 1.0}, {"step": 6, "loss": 2.0}]


def test_the_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    """Peak at the end of warm-up, half way down in the middle, the final share at the end."""
    options = TrainOptions(steps=110, warmup_steps=10, learning_rate=2.0, final_rate=0.5)
    assert [rate(step, options) for step in (0, 4, 9, 10)] == [0.2, 1.0, 2.0, 2.0]
    assert rate(60, options) == pytest.approx(1.5)
    assert rate(110, options) == pytest.approx(1.0)
    assert rate(0, TrainOptions(warmup_steps=0, learning_rate=2.0)) == 2.0


def test_a_short_run_has_a_short_warm_up() -> None:
    """A tenth of its steps, unless another number is given, which stays."""
    assert [0, 20, 100, 100] == [TrainOptions(steps=n).warmup_steps for n in (9, 200, 1000, 5000)]
    assert 100 == TrainOptions().warmup_steps
    assert 100 == TrainOptions(steps=50, warmup_steps=100).warmup_steps


def test_only_matrices_decay() -> None:
    """Norm weights and biases keep their size without a gradient, matrices shrink."""
    model = Double()
    optimizer = make_optimizer(model, TrainOptions(weight_decay=0.5, learning_rate=0.1))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim == 2 else 1.0
        assert torch.allclose(parameter, before[name] * factor), name


def test_clipping_scales_all_gradients_together() -> None:
    """The norm before clipping is returned; null clips nothing."""
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    assert clip([weight], None) == 5.0
    assert weight.grad.tolist() == [3.0, 4.0]
    assert clip([weight], 1.0) == 5.0
    assert weight.grad.norm().item() == pytest.approx(1.0, abs=1e-5)


def test_bf16_arithmetic_keeps_float32_weights(tmp_path: Path) -> None:
    """The matrix products run in bf16, what is learnt is summed in float32."""
    loop = start(tmp_path, dtype="bfloat16")
    seen = []
    loop.model.head.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    loop.run()
    assert set(seen) == {torch.bfloat16}
    assert {parameter.dtype for parameter in loop.model.parameters()} == {torch.float32}


def test_rows_of_a_pass_cover_the_text_once() -> None:
    """Each pass begins at its own offset and has its own order; a step depends on nothing before it."""
    ids = np.arange(1000, dtype=np.uint16)
    batches = Batches(ids, batch_size=4, context=16, seed=3)
    rows = np.concatenate([batches(step) for step in range(2 * batches.rows // 4 + 1)])[: 2 * batches.rows]
    for one in (rows[: batches.rows], rows[batches.rows :]):
        assert np.array_equal(np.sort(one.ravel()), np.arange(one.size) + one.min())
    assert not np.array_equal(rows[: batches.rows], rows[batches.rows :])
    assert np.array_equal(Batches(ids, 4, 16, 3)(20), batches(20))


def test_a_uniform_model_needs_the_bits_of_its_vocabulary() -> None:
    """Every token but each document's first is scored once, whatever the window."""
    model = Double()
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    tokens = Tokens(IDS[:1000], np.array([0, 10, 500]), byte_count=997)
    for context in (2, 7, 64, 2000):
        assert bits_per_byte(model, tokens, context) == pytest.approx(math.log2(VOCAB), rel=1e-6)
    assert model.training


def test_every_token_is_scored_in_its_context() -> None:
    """A model that sees one token back gives the same figure however the text is cut."""
    model = Double()
    tokens = Tokens(IDS[:1000], np.array([0, 10, 500]), byte_count=997)
    figures = [bits_per_byte(model, tokens, context) for context in (4, 64, 2000)]
    assert figures == pytest.approx([figures[0]] * 3, rel=1e-6)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    """The last save stays what it was, and the weights are not touched by the bad step."""
    loop = start(tmp_path, save_every=4)
    model: Any = loop.model

    def poison(_module: nn.Module, _inputs: Any) -> None:
        if loop.progress.step == 6:
            model.head.bias.data.fill_(math.nan)

    model.register_forward_pre_hook(poison)
    with pytest.raises(UsageError, match="step 7: the loss is nan") as caught:
        loop.run()
    assert caught.value.code == "E956"
    fresh = Double(seed=5)
    assert load_state(tmp_path / "state.safetensors", fresh, make_optimizer(fresh, loop.options)).step == 4
    assert all(torch.isfinite(parameter).all() for parameter in fresh.parameters())


def test_progress_off_a_terminal_is_ten_lines() -> None:
    """One for each tenth of the way, on the stream that is not for data."""
    stream = io.StringIO()
    with Meter(25, 0, stream) as meter:
        for step in range(1, 26):
            meter.update(step, 2.0, 1234.5)
    text = stream.getvalue().splitlines()
    assert len(text) == 10
    assert text[0] == "step 3 of 25: loss 2.000, 1,234 tokens/s"
    assert text[-1].startswith("step 25 of 25")


def test_progress_on_a_terminal_is_a_bar() -> None:
    """With loss and speed beside it."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Meter(2, 0, stream) as meter:
        meter.update(1, 2.0, 1000)
        meter.say("a line")
        meter.update(2, 1.0, 1000)
    assert "2/2" in stream.getvalue()
    assert "a line" in stream.getvalue()
