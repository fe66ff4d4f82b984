"""The learning rate of a step, and which parameters decay."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .options import TrainOptions


def rate(step: int, options: TrainOptions) -> float:
    """Learning rate of step 0, 1, ...: linear up to the peak, then a cosine down to `final_rate` of it."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    length = max(1, options.steps - options.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * (step - options.warmup_steps) / length))
    return options.learning_rate * (options.final_rate + (1 - options.final_rate) * cosine)


def make_optimizer(model: nn.Module, options: TrainOptions) -> torch.optim.AdamW:
    """AdamW over the model's parameters; matrices decay, vectors (norms, biases) do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=options.learning_rate,
        betas=(options.beta1, options.beta2),
        eps=options.epsilon,
        fused=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Use `value` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = value


def clip(parameters: Iterable[Tensor], most: float | None) -> float:
    """Scale the gradients down to a common norm of `most`; returns the norm they had."""
    return float(nn.utils.clip_grad_norm_(parameters, math.inf if most is None else most))
