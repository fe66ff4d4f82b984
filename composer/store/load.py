"""From a checkpoint folder to a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import CallError, WeightsError, fail
from ..layout.family import family_named
from ..layout.importing import family_of, import_config, read_config, spec_name
from ..layout.rows import WeightMap, own_names
from ..nn.build import build
from ..nn.model import Model
from ..plan import HeadKind, Plan
from ..reading import read_spec
from ..resolving import resolve
from ..spec import Spec
from .checkpoint import Checkpoint
from .files import one_version, read_small
from .materialize import check_fit, materialize

CONFIG, GENERATION, OWN = "config.json", "generation_config.json", "composer.yaml"
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64)
}


def load(
    folder: str | os.PathLike[str],
    spec: Spec | str | Path | None = None,
    head: HeadKind = "causal-lm",
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    attention: str = "sdpa",
) -> Model:
    """The model in a checkpoint folder, ready to run.

    The architecture comes from `spec`, else from the folder's composer.yaml, else from its config.json.
    `dtype` is by default the one that config.json names, else the one that is stored.  On the CPU, tensors
    that need no cast stay memory-mapped.

    Raises `WeightsError` for everything that is wrong with the folder, `SpecError` for an architecture that
    cannot be; then nothing is loaded.
    """
    path = Path(folder)
    device = _device(device)
    checkpoint, config, generation = one_version(path, lambda: _read(path))
    dtype = _dtype(dtype or _named(config) or checkpoint.float_dtype() or torch.float32)
    scan = checkpoint.scan(dtype) if device.type == "cpu" else None  # while the model is built
    plan = resolve(_spec(path, spec, config), head=head)
    weights, whole = _weight_map(plan, config, checkpoint), plan.head.kind == "causal-lm"
    check_fit(plan.parameters(), weights, checkpoint, whole)  # before a model of any depth is built
    model = build(plan, device="meta", dtype=dtype, attention=attention)
    materialize(model, weights, checkpoint, device, whole, scan)
    model.generation = generation
    return model


def _read(folder: Path) -> tuple[Checkpoint, dict[str, Any] | None, dict[str, Any] | None]:
    """The checkpoint, and the two configurations that may be beside it."""
    return Checkpoint.open(folder), _config(folder / CONFIG), _config(folder / GENERATION)


def _config(path: Path) -> dict[str, Any] | None:
    return read_config(read_small(path), str(path)) if os.path.lexists(path) else None


def _device(device: torch.device | str) -> torch.device:
    """A device that is there."""
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError) as error:
        why = str(error).split("\n")[0]
        fail(CallError, "E716", f"the device {device!r} cannot be used: {why}", path="device")


def _dtype(dtype: torch.dtype) -> torch.dtype:
    if dtype not in _DTYPES.values():
        names = ", ".join(f"torch.{name}" for name in _DTYPES)
        fail(
            CallError, "E713", f"a model cannot be loaded in {dtype!r}", path="dtype", hint=f"one of: {names}"
        )
    return dtype


def _spec(folder: Path, spec: Spec | str | Path | None, config: Mapping[str, Any] | None) -> Spec:
    if spec is not None:
        return spec if isinstance(spec, Spec) else read_spec(spec)
    if os.path.lexists(folder / OWN):
        return read_spec(folder / OWN)
    if config is None:
        hint = "give the architecture with spec="
        fail(WeightsError, "E509", f"{folder} has weights but neither {OWN} nor {CONFIG}", hint=hint)
    return import_config(config, spec_name(folder), str(folder / CONFIG))


def _named(config: Mapping[str, Any] | None) -> torch.dtype | None:
    """The precision that a configuration names, in the words of either era."""
    named = (config or {}).get("dtype") or (config or {}).get("torch_dtype")
    return _DTYPES.get(named.removeprefix("torch.")) if isinstance(named, str) else None


def _weight_map(plan: Plan, config: Mapping[str, Any] | None, checkpoint: Checkpoint) -> WeightMap:
    """Our own names if the checkpoint has most of them, else those of the family of the spec or the config."""
    parameters = plan.parameters()
    if 2 * sum(name in checkpoint for name in parameters) > len(parameters):
        return own_names(parameters)
    if plan.spec.weights is not None:
        return family_named(plan.spec.weights).weights
    return family_of(config).weights if config is not None else own_names(parameters)
