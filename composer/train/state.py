"""Everything a run needs to go on as if it had never stopped, in one file.

The file is a safetensors file whose header carries the plain part as JSON, so that tensors and
numbers can never belong to different moments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from composer.errors import UsageError, fail

from .folder import replacing


@dataclass
class Progress:
    """Steps done, and the losses since the last line of `loss.jsonl`."""

    step: int = 0
    pending: list[float] = field(default_factory=list)


def save_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write weights, what AdamW holds of each, torch's random state and `progress`, atomically."""
    tensors: dict[str, Tensor] = {f"weights.{name}": p for name, p in model.named_parameters()}
    for name, parameter in model.named_parameters():
        held = optimizer.state.get(parameter, {})  # of one that never had a gradient nothing is held
        tensors |= {f"{key}.{name}": tensor for key, tensor in held.items()}
    tensors |= {f"random.{device}": state for device, state in _random_states().items()}
    plain = json.dumps({"step": progress.step, "pending": progress.pending})
    plainly = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as fresh:
        save_file(plainly, fresh, metadata={"progress": plain})


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Put back what `save_state` wrote; E959 if the file is damaged or of another model."""
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        _restore(tensors, model, optimizer, progress.step)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        fail(
            UsageError,
            "E959",
            f"{path.name} cannot be resumed from ({error})",
            hint="start again in another folder; the checkpoint beside it can still be loaded",
        )
    return progress


@torch.no_grad()
def _restore(
    tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(tensors[f"weights.{name}"])
        if f"exp_avg.{name}" in tensors:
            tensors.setdefault(f"step.{name}", torch.tensor(float(step)))  # older files have one for all
            held = {key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            optimizer.state[parameter] = {key: each.to(parameter.device) for key, each in held.items()}
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])


def _random_states() -> dict[str, Tensor]:
    """What dropout draws from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states
