"""From a checkpoint folder to a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import torch

from ..errors import CallError, WeightsError, fail
from ..heads import HeadOptions
from ..layout.family import Family, family_named
from ..layout.heads import HEAD, StoredHead, head_in, own_head
from ..layout.importing import config_file, family_of, import_config, read_config, spec_name
from ..layout.rows import WeightMap, own_names
from ..nn.build import build
from ..nn.device import DTYPES, usable_device, usable_dtype
from ..nn.model import Model
from ..plan import HeadKind, Plan
from ..reading import read_spec
from ..resolving import resolve
from ..shipped import checkpoint_folder
from ..spec import Spec
from .checkpoint import Checkpoint
from .files import one_version, read_small
from .heads import adapters_of, finish, is_stored
from .materialize import check_fit, materialize
from .original import layout_in, open_weights

CONFIG, GENERATION, OWN = "config.json", "generation_config.json", "composer.yaml"


def load(
    folder: str | os.PathLike[str],
    spec: Plan | Spec | str | Path | None = None,
    head: HeadKind | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    attention: str = "sdpa",
    **options: Unpack[HeadOptions],
) -> Model:
    """The model in a checkpoint folder, or one that is shipped with its weights, ready to run.

    The architecture comes from `spec`, else from the folder's composer.yaml, else from its config.json, else
    from the configuration of another layout (as params.json).  The weights are safetensors of the usual names,
    else pickles of the usual names, else the files of another layout; of a folder with several kinds one is read.
    `head` is the one that the folder names, "causal-lm" if it names none; a `spec` that is a Plan has its own.
    `options` are numbers of the head as `resolve` takes them, by default those of the folder.  A head that is
    not the folder's is drawn as the spec says, with a warning, and so are adapters where the folder is that of
    the model they are added to; `model.loading` says what is new or not used.
    `dtype` is by default the one that config.json names, else (and for "auto") the one that is stored.  On
    the CPU, tensors that need no cast stay memory-mapped.

    Raises `WeightsError` for everything that is wrong with the folder, `SpecError` for an architecture that
    cannot be, UsageError E906 for a shipped spec without weights, CallError for an argument that cannot be
    (E701, E713, E716, E718, E720, E721); then nothing is loaded.  One check may outlast the call: numbers of
    more than 64 MB of mapped tensors are looked at in the background, and the first use of the model waits.
    """
    path = checkpoint_folder(folder)
    device = _device(device)
    checkpoint, original, config, generation, stored = one_version(path, lambda: _read(path))
    if dtype is None:
        dtype = _named(config, path / CONFIG) or checkpoint.float_dtype() or torch.float32
    dtype = usable_dtype(dtype)
    plan = _plan(path, spec, config, stored, head, options)
    weights = _weight_map(plan, config, checkpoint, original)
    whole = is_stored(plan, stored, weights, checkpoint)
    fresh = dict.fromkeys(name for name in adapters_of(plan) if not weights.rows_of(name))
    match = check_fit(plan.parameters(), weights, checkpoint, whole, fresh)  # before any model is built
    scan = checkpoint.scan(dtype, match.moved) if device.type == "cpu" else None  # while it is built
    model = build(plan, device="meta", dtype=dtype, attention=attention)
    materialize(model, weights, checkpoint, device, whole, scan, fresh)
    model.generation = generation
    model.loading = finish(model, device, path, whole, fresh, match.unused)
    return model


def _read(
    folder: Path,
) -> tuple[Checkpoint, Family | None, dict[str, Any] | None, dict[str, Any] | None, StoredHead]:
    """The checkpoint, whose layout it is if not the usual one, the configurations beside it, and its head."""
    checkpoint, original = open_weights(folder)
    config = _config(folder / config_file(folder))
    original = original or layout_in(config)
    own = _config(folder / HEAD) if os.path.lexists(folder / OWN) else None
    stored = head_in(config or {}, str(folder / CONFIG)) if own is None else own_head(own, str(folder / HEAD))
    return checkpoint, original, config, _config(folder / GENERATION), stored


def _config(path: Path) -> dict[str, Any] | None:
    return read_config(read_small(path), str(path)) if os.path.lexists(path) else None


def _device(device: torch.device | str) -> torch.device:
    """A device that is there, and has room for numbers."""
    found = usable_device(device)
    if found.type == "meta":
        hint = "composer.build(plan, device='meta') makes a model without numbers"
        fail(CallError, "E716", "weights cannot be loaded onto the meta device", path="device", hint=hint)
    return found


def _plan(
    folder: Path,
    spec: Plan | Spec | str | Path | None,
    config: Mapping[str, Any] | None,
    stored: StoredHead,
    head: HeadKind | None,
    options: HeadOptions,
) -> Plan:
    """What is to be loaded; a plan is taken as it is."""
    if not isinstance(spec, Plan):
        read = _spec(folder, spec, _padded(config, options))
        kind = head or stored.kind or "causal-lm"
        return resolve(read, head=kind, **stored.changed(read, kind, options))
    if head not in (None, spec.head.kind):
        message = f"the plan has the head {spec.head.kind!r}, not {head!r}"
        fail(CallError, "E718", message, path="head", hint="resolve it with that head, or leave head= out")
    for name in options:
        hint = f"resolve it with {name}="
        fail(CallError, "E718", "the plan has a head with numbers of its own", path=name, hint=hint)
    return spec


def _padded(config: Mapping[str, Any] | None, options: HeadOptions) -> Mapping[str, Any] | None:
    """The configuration with the padding token that was asked for: everything that knows it then agrees."""
    pad = options.get("pad_token_id")
    return config if config is None or not isinstance(pad, int) else {**config, "pad_token_id": pad}


def _spec(folder: Path, spec: Spec | str | Path | None, config: Mapping[str, Any] | None) -> Spec:
    if spec is not None:
        return spec if isinstance(spec, Spec) else read_spec(spec)
    if os.path.lexists(folder / OWN):
        return read_spec(folder / OWN)
    if config is None:
        hint = "give the architecture with spec="
        fail(WeightsError, "E509", f"{folder} has weights but neither {OWN} nor {CONFIG}", hint=hint)
    return import_config(config, spec_name(folder), str(folder / config_file(folder)))


def _named(config: Mapping[str, Any] | None, file: Path) -> torch.dtype | None:
    """The precision that a configuration names, in the words of either era; none of its own for "auto"."""
    named = (config or {}).get("dtype") or (config or {}).get("torch_dtype") or "auto"
    if named == "auto":
        return None
    found = DTYPES.get(named.removeprefix("torch.")) if isinstance(named, str) else None
    if found is None:
        hint = f"give dtype=, or name one of: {', '.join(DTYPES)}"
        fail(WeightsError, "E517", f"{file} names the dtype {named!r}", path="dtype", hint=hint)
    return found


def _weight_map(
    plan: Plan, config: Mapping[str, Any] | None, checkpoint: Checkpoint, original: Family | None
) -> WeightMap:
    """Our own names if the checkpoint has most of them, else those of the layout of the files, else those of the
    family of the spec or the config.  A checkpoint without adapters has no names for them.
    """
    parameters, adapters = plan.parameters(), set(adapters_of(plan))
    base = [name for name in parameters if name not in adapters]
    if 2 * sum(name in checkpoint for name in base) > len(base):
        return own_names(parameters if any(name in checkpoint for name in adapters) else base)
    if original is not None:
        return original.weights_of(plan)
    if plan.spec.weights is not None:
        return family_named(plan.spec.weights).weights_of(plan)
    return family_of(config).weights_of(plan) if config is not None else own_names(parameters)
