"""A plan as plain data: what the way back to a configuration reads, and what two plans are compared by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ..chain import BranchPlan, Chain, LayerPlan, MixerPlan
from ..plan import Plan
from ..spec import Draw

DRAWS = "draws"
"""Where the view of a block says how some of its linears are drawn apart from others."""


def view(plan: Plan) -> dict[str, Any]:
    """Everything a plan decides, as mappings and lists; the names of the spec's words play no part.

    `layers[i]` holds the options of each block under its path (`mixer`, `mlp`), with its groups of linears that
    are drawn apart under `draws`, and the wiring under `branches`.
    """
    return {
        **asdict(plan.sizes),
        "embedding": asdict(plan.embedding),
        "norm": plan.norm.model_dump() if plan.norm else None,
        "layerdrop": plan.layerdrop,
        "head": asdict(plan.head),
        "init": {kind: draw.model_dump() for kind, draw in sorted(plan.init.items()) if "." not in kind},
        "layers": [_layer(layer, plan.init) for layer in plan.layers],
    }


def _layer(layer: LayerPlan, init: Mapping[str, Draw]) -> dict[str, Any]:
    blocks = {
        path: {"kind": mixer.block.kind, **mixer.block.model_dump(), **_draws(mixer, init)}
        for path, mixer in layer.mixers()
    }
    return {
        **blocks,
        "branches": [_branch(prefix, b) for prefix, chain in layer.chains() for b in chain.branches],
        "guests": {name: _use(chain) for name, chain in layer.guests.items()},
        "use": _use(layer.host),
        "shared": {path: mixer.trunk.copy for path, mixer in layer.mixers() if mixer.trunk},
    }


def _draws(mixer: MixerPlan, init: Mapping[str, Draw]) -> dict[str, Any]:
    """How the groups of linears of a block are drawn that are not drawn as all others."""
    apart = {
        group: init[linears.init].model_dump()
        for group, linears in mixer.declared.linears.items()
        if "." in linears.init
    }
    return {DRAWS: apart} if apart else {}


def _use(chain: Chain) -> dict[str, Any]:
    """What one use of a chain has of its own, and which copy of what is shared it takes."""
    return {
        "reads": list(chain.reads),
        "out": chain.out is not None,
        "copy": chain.trunk.copy if chain.trunk else None,
        "adapters": {
            adapter.path: {
                "rank": adapter.up.reads,
                "scale": adapter.scale,
                "dropout": adapter.dropout,
                "frozen": adapter.frozen,
            }
            for adapter in chain.adapters
        },
    }


def _branch(prefix: str, branch: BranchPlan) -> dict[str, Any]:
    return {
        "mixers": [prefix + mixer.path for mixer in branch.mixers],
        "norms": {name: norm.model_dump() for name, norm, _ in branch.norms()},
        "scale": branch.scale,
        "residual": branch.residual,
        "dropout": branch.dropout,
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
