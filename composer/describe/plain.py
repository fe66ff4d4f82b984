"""The whole plan as plain data and as text: what golden files hold and `show --plan` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import yaml

from ..block import Frozen, Param, Slot
from ..chain import BranchPlan, Chain, MixerPlan, shared_parameters
from ..plan import Plan
from . import units
from .runs import Run, runs

MOST_WIDE = 110


def plan_data(plan: Plan) -> dict[str, Any]:
    """Everything that was decided, JSON-ready; equal layers that follow each other stand once."""
    sizes = plan.sizes
    return {
        "name": plan.name,
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "max_position_embeddings": sizes.max_position_embeddings,
        **embedding_data(plan),
        **({"shared": shared_data(plan)} if plan.shared else {}),
        "layers": [layer_data(run) for run in runs(plan)],
        "norm": plain(plan.norm),
        **({"layerdrop": plan.layerdrop} if plan.layerdrop else {}),
        "head": Line((key, value) for key, value in asdict(plan.head).items() if value is not None),
        "init": {kind: plain(draw) for kind, draw in sorted(plan.init.items())},
        "parameters": {
            name: tensor(param)
            for name, param in plan.parameters().items()
            if not name.startswith(("layers.", "shared."))
        },
    }


def embedding_data(plan: Plan) -> dict[str, Any]:
    """How tokens become the stream, where it is more than a look-up."""
    given = asdict(plan.embedding)
    found = {key: value for key, value in given.items() if value is not None and value != 0}
    if plan.projections:
        found = {"size": plan.sizes.embedding_size, **found}
    return {"embedding": Line(found)} if found else {}


def shared_data(plan: Plan) -> dict[str, Any]:
    """What is shared, by word: which layer uses which copy."""
    return {
        word: {
            "copies": len(copies),
            "uses": Line((f"layer {index}", copy) for index, copy in plan.uses[word]),
            "parameters": {
                f"{copy}.{name}": tensor(param)
                for copy, part in enumerate(copies)
                for name, param in shared_parameters(part)
            },
        }
        for word, copies in plan.shared.items()
    }


def layer_data(run: Run) -> dict[str, Any]:
    """One run of layers; parameter names and memory are those inside a layer."""
    layer = run.layer
    return {
        "at": run.first if run.count == 1 else units.layers(run.first, run.last),
        "word": layer.word,
        "branches": branches(layer.host),
        **(
            {"guests": {name: guest_data(chain) for name, chain in layer.guests.items()}}
            if layer.guests
            else {}
        ),
        **({"joins": dict(layer.joins)} if layer.joins else {}),
        **use_data(layer.host),
        "parameters": {name: tensor(param) for name, param in layer.parameters()},
        "remembers": {path: memory(slot) for path, slot in layer.slots().items()},
    }


def guest_data(chain: Chain) -> dict[str, Any]:
    """A guest: what it reads, its branches, and what each use has of its own."""
    return {"reads": list(chain.reads), "branches": branches(chain), **use_data(chain)}


def use_data(chain: Chain) -> dict[str, Any]:
    """Adapters, a last map and the shared weights of one use, where there are any."""
    found: dict[str, Any] = {}
    if chain.trunk:
        found["copy"] = chain.trunk.copy
    if chain.out:
        found["out"] = "linear"
    if chain.adapters:
        found["adapters"] = {
            each.path: Line(rank=each.up.reads, scale=each.scale, dropout=each.dropout, frozen=each.frozen)
            for each in chain.adapters
        }
    return found


def branches(chain: Chain) -> list[dict[str, Any]]:
    """The branches of a host or a guest."""
    return [branch_data(branch) for branch in chain.branches]


def branch_data(branch: BranchPlan) -> dict[str, Any]:
    """One branch: its norms, its multipliers, and its blocks with every option."""
    return {
        "norm": plain(branch.norm),
        "post": plain(branch.post),
        "after": plain(branch.after),
        "scale": branch.scale,
        "residual": branch.residual,
        **({"dropout": branch.dropout} if branch.dropout else {}),
        "mix": {mixer.path: block_data(mixer) for mixer in branch.mixers},
    }


def block_data(mixer: MixerPlan) -> dict[str, Any]:
    """One block where it stands."""
    widths = {"reads": mixer.site.reads, "writes": mixer.site.writes}
    options = mixer.block.model_dump(mode="json")
    return {
        "block": mixer.word,
        **({"copy": mixer.trunk.copy} if mixer.trunk else {}),
        "kind": mixer.block.kind,
        **widths,
        "options": dict(map(option, options.items())),
    }


def option(given: tuple[str, Any]) -> tuple[str, Any]:
    """An option; of a group of options only those that are in use."""
    key, value = given
    group = isinstance(value, dict)
    return key, Line((k, v) for k, v in value.items() if v is not None) if group else value


def memory(slot: Slot) -> dict[str, Any]:
    """What is kept of earlier tokens: shapes for one token, heads first."""
    return Line(slot.model_dump(mode="json"))


def tensor(param: Param) -> str:
    """A tensor in a few words: `4096 x 4096, linear`, and its dtype where it is not the model's."""
    shape = " x ".join(map(str, param.shape)) or "one number"
    return f"{shape}, {param.init}" + (f", {param.dtype}" if param.dtype != "model" else "")


def plain(value: Frozen | None) -> dict[str, Any] | None:
    """Options as JSON-ready data."""
    given = {} if value is None else value.model_dump(mode="json")
    return None if value is None else Line((key, each) for key, each in given.items() if each is not None)


class Line(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Block style, and no anchors where the same object stands twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    Line, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)
)


def plan_text(plan: Plan) -> str:
    """`plan_data` as YAML, to be read and compared."""
    return yaml.dump(plan_data(plan), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=MOST_WIDE)
