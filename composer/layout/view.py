"""A plan as plain data: what the way back to a configuration reads, and what two plans are compared by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ..plan import BranchPlan, LayerPlan, Plan


def view(plan: Plan) -> dict[str, Any]:
    """Everything a plan decides, as mappings and lists; the names of the spec's words play no part.

    `layers[i]` holds the options of each block under its path (`mixer`, `mlp`), the wiring under `branches`.
    """
    return {
        **asdict(plan.sizes),
        "norm": plan.norm.model_dump(),
        "head": asdict(plan.head),
        "init": {kind: draw.model_dump() for kind, draw in sorted(plan.init.items())},
        "layers": [_layer(layer) for layer in plan.layers],
    }


def _layer(layer: LayerPlan) -> dict[str, Any]:
    blocks = {path: {"kind": mixer.block.kind, **mixer.block.model_dump()} for path, mixer in layer.mixers()}
    return {
        **blocks,
        "branches": [_branch(prefix, b) for prefix, chain in layer.chains() for b in chain.branches],
    }


def _branch(prefix: str, branch: BranchPlan) -> dict[str, Any]:
    return {
        "mixers": [prefix + mixer.path for mixer in branch.mixers],
        "norms": {name: norm.model_dump() for name, norm in branch.norms()},
        "scale": branch.scale,
        "residual": branch.residual,
    }


def flat(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of plain data with its dotted path."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list | tuple) and data:
        for at, value in enumerate(data):
            yield from flat(value, f"{path}.{at}")
    else:
        yield path, data
