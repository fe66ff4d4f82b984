"""From a model to a checkpoint folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import torch
import yaml

from ..errors import CallError, WeightsError, fail
from ..layout.exporting import export_config
from ..layout.family import Family, family_named, originals
from ..layout.heads import HEAD, head_options
from ..layout.rows import WeightMap, expand_rows, own_names
from ..nn.model import Model
from ..plan import Plan
from ..spec import Spec
from .load import CONFIG, GENERATION, OWN
from .ops import Merged
from .write import SHARD_BYTES, save_tensors


class SavedTokenizer(Protocol):
    """Anything that can write its files into a folder."""

    def save(self, folder: str | os.PathLike[str]) -> None: ...


def save(
    model: Model,
    folder: str | os.PathLike[str],
    layout: str = "hf",
    tokenizer: SavedTokenizer | None = None,
    max_shard_size: int = SHARD_BYTES,
) -> None:
    """Write a folder that `load` reads and, in the layout "hf", the transformers library too.

    "composer" has our own names and the spec, which fits any model; any other layout is that of a family file
    (params.json and all weights in one file, whatever `max_shard_size` is).

    The folder changes at once: after a crash it is the old one or the new one.  Generation defaults travel
    along.  Weights and configurations in an existing folder go, in any layout; its other files are kept, those
    of another tokenizer only without `tokenizer`.

    Raises `WeightsError`: E521 and E522 as `save_tensors`, E523 an unknown layout, E524 a spec without a
    family, E536 and E532 a model that its family cannot describe; CallError E717 for what is no model; and
    what the tokenizer raises.
    """
    if not isinstance(model, Model):
        message = f"what is saved is a model, not a {type(model).__name__}"
        fail(CallError, "E717", message, hint="composer.build(plan) makes one; a spec is a file of its own")
    check_layout(layout)
    single = None
    plan = replace(model.plan, head=replace(model.plan.head, problem_type=model.problem_type))
    if layout == "hf":
        weights, files = published(plan, model.dtype)
    elif layout == "composer":
        weights, files = own_names(plan.parameters()), {OWN: spec_text(plan.spec).encode()}
        if plan.head.kind != "causal-lm":
            files[HEAD] = _json({"head": plan.head.kind, **head_options(plan.head)})
    else:
        weights, files, single = in_original(plan, originals()[layout])
    parameters = model.state_dict(keep_vars=True)  # waits for a check of the numbers that still goes on
    tensors = stored_tensors(weights, parameters)
    generation = _set(model.plan.spec.generation) if model.generation is None else model.generation
    if generation:
        files[GENERATION] = _json(generation)
    more = None if tokenizer is None else tokenizer.save
    save_tensors(folder, tensors, files, max_shard_size, more, single)


def stored_tensors(
    weights: WeightMap, parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor | Merged]:
    """Parameters under their stored names; what is stored as one is put together when it is written.

    Raises `WeightsError` E532 for parameters without a row.
    """
    found: dict[str, torch.Tensor | Merged] = {}
    for row in expand_rows(weights, parameters):
        parts = [parameters[part] for part in row.split or (row.ours,) if part in parameters]
        stored = Merged(parts, row.op) if len(parts) > 1 or row.op else parts[0]
        found |= dict.fromkeys(weights.saved(row), stored)
    return found


def published(plan: Plan, dtype: torch.dtype | None = None) -> tuple[WeightMap, dict[str, bytes]]:
    """The weight map and the configuration, with the stored dtype, of the family that the plan's spec names.

    Raises `WeightsError` E524, E536 and E532: what `save` in the layout "hf" would refuse.
    """
    name = plan.spec.weights
    if name is None:
        hint = "add weights: <family> to the spec, or save with layout='composer'"
        message = f"the spec {plan.name!r} names no family of published models"
        fail(WeightsError, "E524", message, hint=hint)
    family = family_named(name)
    config = export_config(plan, family)
    if dtype is not None:
        config["dtype"] = str(dtype).removeprefix("torch.")
    return family.weights_of(plan), {CONFIG: _json(config)}


def in_original(plan: Plan, family: Family) -> tuple[WeightMap, dict[str, bytes], str]:
    """The weight map, the configuration and the file of the weights in the layout of a family.

    Raises `WeightsError` E536 and E532: what `save` in that layout would refuse.
    """
    files = family.file.layout
    assert files is not None  # families of published configurations are no layouts
    return family.weights_of(plan), {files.config: _json(export_config(plan, family))}, files.tensors


def check_layout(name: str) -> None:
    """Raises `WeightsError` E523 for a layout that is not there."""
    known = ["hf", "composer", *originals()]
    if name not in known:
        fail(WeightsError, "E523", f"no layout is called {name!r}", hint=f"one of: {', '.join(known)}")


def described(plan: Plan, layout: str, dtype: torch.dtype | None = None) -> dict[str, bytes]:
    """The files of a layout that say what an architecture is, by name, for a plan without weights.

    `dtype` is what a config.json names; the other layouts have no place for one.

    Raises `WeightsError` as `save` does.
    """
    check_layout(layout)
    if layout == "composer":
        return {OWN: spec_text(plan.spec).encode()}
    return (published(plan, dtype) if layout == "hf" else in_original(plan, originals()[layout]))[1]


def spec_text(spec: Spec) -> str:
    """The spec as YAML that reads back as the same spec."""
    data = spec.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def _set(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=2) + "\n").encode()
