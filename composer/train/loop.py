"""The training loop: one process, one model, one stream of text."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from composer.errors import UsageError, fail

from .folder import LossLog
from .options import TrainOptions
from .progress import Clock, Meter
from .schedule import clip, rate, set_rate
from .state import Progress
from .tokens import Batches


@dataclass
class Loop:
    """A run in progress; `save` and `evaluate` are called at the steps that the options name."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Batches
    options: TrainOptions
    progress: Progress
    log: LossLog
    meter: Meter
    save: Callable[[], None]
    evaluate: Callable[[], float | None]

    def run(self) -> None:
        """From the step that `progress` names to the last one."""
        self.model.train()
        clock = Clock(self.options.tokens_per_step, self.progress.step)
        while self.progress.step < self.options.steps:
            loss, norm = self._step()
            self.progress.step += 1
            self.progress.pending.append(loss)
            self._report(loss, norm, clock)
            self._pause(clock)

    def _step(self) -> tuple[float, float]:
        """One update; (loss, gradient norm before clipping)."""
        step = self.progress.step
        ids = torch.from_numpy(self.batches(step)).to(self.options.device)
        with self._arithmetic():
            loss = self._loss(ids)
        torch.autograd.backward(loss)
        norm = clip(self.model.parameters(), self.options.clip)
        value = loss.item()
        if not (math.isfinite(value) and math.isfinite(norm)):
            fail(
                UsageError,
                "E956",
                f"step {step + 1}: the loss is {value:g} and the gradient norm {norm:g}; training stops here",
                hint="what was saved before is kept; try a lower learning_rate or more warmup_steps",
            )
        set_rate(self.optimizer, rate(step, self.options))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value, norm

    def _loss(self, ids: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = self.model(ids, labels=ids).loss
        return loss

    def _arithmetic(self) -> AbstractContextManager[Any]:
        if self.options.dtype == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.options.device).type, dtype=torch.bfloat16)

    def _report(self, loss: float, norm: float, clock: Clock) -> None:
        step, options = self.progress.step, self.options
        self.meter.update(step, loss, clock.speed(step))
        if step % options.log_every == 0 or step == options.steps:
            mean = sum(self.progress.pending) / len(self.progress.pending)
            self.progress.pending.clear()
            self.log.write(
                step=step,
                tokens=step * options.tokens_per_step,
                loss=round(mean, 5),
                lr=float(f"{rate(step - 1, options):.6g}"),
                grad_norm=round(norm, 4),
                tokens_per_s=round(clock.lap(step)),
            )

    def _pause(self, clock: Clock) -> None:
        """Evaluate and save, outside the clock."""
        step, options = self.progress.step, self.options
        last = step == options.steps
        with clock.stopped():
            if last or (options.evaluate_every and step % options.evaluate_every == 0):
                self._evaluate()
            if last or step % options.save_every == 0:
                self.save()

    def _evaluate(self) -> None:
        bits = self.evaluate()
        if bits is not None:
            self.log.write(step=self.progress.step, held_out_bits_per_byte=round(bits, 5))
            self.meter.say(f"step {self.progress.step:,}: {bits:.4f} bits per byte of held-out text")
