"""Changes of a spec that leave it in the right form: other names, patterns, options, branches and overrides."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

Spec = dict[str, Any]

NAMES = [
    "forward", "training", "half", "type", "run", "norms", "branches", "guests", "child", "layers", "weight", "embed",
    "head", "a-b", "_", "A", "full", "mlp", "x6", "rest", "mixer", "to", "T_destination", "parameters", "shared-attn",
]  # fmt: skip
OPTIONS: dict[str, list[Any]] = {
    "num_attention_heads": [1, 2, 3, 4, 8, 2**24],
    "num_key_value_heads": [1, 2, 4, None],
    "head_dim": [1, 2, 3, 4, 6, 2**20, None],
    "sliding_window": [1, 2, 3, 2**24, None],
    "scale": [1e-300, 1e300, 0.5, None],
    "attention_dropout": [0.0, 0.999, 1.0],
    "bias": [True, False],
    "intermediate_size": [1, 2, 2**24],
    "hidden_act": ["gelu", "tanh", "relu6", "linear", "mish"],
    "gated": [True, False],
    "rope": [
        None, {}, {"theta": 1e-300}, {"theta": 1e300}, {"theta": 1.0}, {"type": "linear", "factor": 1e-300},
        {"type": "dynamic", "factor": 2.0}, {"type": "dynamic", "factor": 1e300}, {"partial_rotary_factor": 0.5},
        {"type": "yarn", "factor": 1e300, "original_max_position_embeddings": 1},
        {"type": "yarn", "factor": 1e-300, "original_max_position_embeddings": 1, "theta": 1.0000000000000002},
        {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 8, "beta_fast": 1e300,
         "beta_slow": 1e-300},
        {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 8, "mscale": 1e300,
         "mscale_all_dim": -1e300},
        {"type": "yarn", "factor": 2.7, "original_max_position_embeddings": 8, "mscale": 1.0, "mscale_all_dim": -10.0},
        {"type": "longrope", "short_factor": [1.0], "long_factor": [1e-300], "original_max_position_embeddings": 1},
        {"type": "longrope", "short_factor": [1.0, 2.0], "long_factor": [3.0, 4.0],
         "original_max_position_embeddings": 1, "factor": 4.0},
        {"type": "llama3", "factor": 1e300, "low_freq_factor": 1e-300, "high_freq_factor": 1e300,
         "original_max_position_embeddings": 1},
        {"type": "proportional", "partial_rotary_factor": 0.25},
    ],
}  # fmt: skip

# What may stand behind --set.
SETS = [
    "layers=8", "blocks.swa.sliding_window=1024", "blocks.swa.rope.theta=1e6", "norm.eps=1e-6", "layer.0.norm=null",
    "overrides.0.at=3", "pattern=full, swa×3", "head={tied: true}", "final.swa.bias=true", "extends=base.yaml",
    "layer=[]", "blocks.new={kind: mlp, intermediate_size: 4, hidden_act: gelu}", "composer=1",
    "blocks.swa.branches=[{mix: mlp}]",
    "init.norm.mean=2", "name=x", "generation.eos_token_id=[1]", "blocks.swa.kind=mlp", "layer.-1.norm=rms",
]  # fmt: skip


def edited(draw: Random, data: Spec) -> Spec:
    """A copy with one to four such changes."""
    data = {"blocks": {"mlp": {}}, **copy.deepcopy(data)}
    for _ in range(draw.choice([1, 1, 2, 3, 4])):
        draw.choice(CHANGES)(draw, data)
    return data


def words(data: Spec) -> list[str]:
    """The names of the blocks, those of an ancestor included."""
    return [*data["blocks"], *(["full", "swa", "mlp"] if "extends" in data else [])]


def pattern(draw: Random, data: Spec) -> None:
    """Another pattern over the same words, and another number of layers."""
    data["pattern"] = terms(draw, words(data))
    data["layers"] = draw.choice([None, None, None, 1, 2, 12, 24, 60, 10_001])
    data["remainder"] = draw.choice(["truncate", "error"])


def terms(draw: Random, names: list[str], depth: int = 0) -> str:
    """A pattern by its grammar."""
    return draw.choice([",", ", ", " ,\n "]).join(term(draw, names, depth) for _ in range(draw.randint(1, 3)))


def term(draw: Random, names: list[str], depth: int) -> str:
    atom = f"({terms(draw, names, depth + 1)})" if depth < 6 and draw.random() < 0.3 else word(draw, names)
    count = draw.choice(["", "", "", "×2", "*3", " x2", "×1", "×7", "× 99999"])
    return atom + count + "".join(f"+{word(draw, names)}" for _ in range(draw.choice([0, 0, 0, 1, 1, 2])))


def word(draw: Random, names: list[str]) -> str:
    name = draw.choice([*names, *names, *names, "unknown"])
    if draw.random() < 0.8:
        return name
    key, values = draw.choice(list(OPTIONS.items()))
    return f"{name}({key}={written(draw.choice(values))})"


def written(value: Any) -> str:
    """A value as an argument of a pattern; groups of options cannot be written there."""
    return "none" if isinstance(value, dict) else json.dumps(value).strip('"')


def named(draw: Random, data: Spec) -> None:
    """One block called otherwise wherever it is named."""
    old, new = draw.choice(list(data["blocks"])), draw.choice(NAMES)
    data["blocks"] = {new if name == old else name: entry for name, entry in data["blocks"].items()}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        return value.replace(old, new) if isinstance(value, str) else value

    data.update({key: renamed(value) for key, value in data.items()})


def option(draw: Random, data: Spec) -> None:
    """An option of a block."""
    key, values = draw.choice(list(OPTIONS.items()))
    entry = data["blocks"][draw.choice(list(data["blocks"]))]
    entry[key] = copy.deepcopy(draw.choice(values))


def size(draw: Random, data: Spec) -> None:
    """Another size of the model."""
    key = draw.choice(["vocab_size", "hidden_size", "max_position_embeddings", "layers"])
    data[key] = draw.choice([1, 2, 4, 6, 8, 12, 48, 2**24])


def override(draw: Random, data: Spec) -> None:
    """An override of a layer or a range, or the last word on a block."""
    key, values = draw.choice(list(OPTIONS.items()))
    said, name = {key: copy.deepcopy(draw.choice(values))}, draw.choice(words(data))
    if draw.random() < 0.2:
        data.setdefault("final", {})[name] = said
        return
    at = draw.choice([0, 1, -1, "0..1", "1..2", "0..0", 3, "2 .. 3"])
    more = draw.choice([{}, {"block": name}])
    data.setdefault("overrides", []).append({"at": at, "set": said, **more})


def extends(draw: Random, data: Spec) -> None:
    """A block that extends another, or itself."""
    entry = data["blocks"][draw.choice(list(data["blocks"]))]
    entry["extends"] = draw.choice(words(data))
    if draw.random() < 0.5:
        entry.pop("kind", None)


def branches(draw: Random, data: Spec) -> None:
    """Other branches of every layer, or of one word."""
    made = [branch(draw, words(data)) for _ in range(draw.randint(1, 3))]
    if draw.random() < 0.5:
        data["layer"] = [{"mix": "mixer"}, *made] if draw.random() < 0.8 else made
    else:
        data["blocks"][draw.choice([*data["blocks"], "new"])] = {"branches": made}


def branch(draw: Random, names: list[str]) -> dict[str, Any]:
    norm = draw.choice(
        [None, None, "rms", "layer", {"kind": "rms", "eps": 1e-300}, {"kind": "layer", "eps": 1e300}]
    )
    mix = draw.choice([draw.choice(names), [draw.choice(names), draw.choice(names)], "mixer", []])
    scales = {"scale": draw.choice([0.0, 1.0, -1.0, 1e300]), "residual": draw.choice([0.0, 1.0, 1e300])}
    return {"mix": mix, draw.choice(["norm", "post", "after"]): norm, **draw.choice([{}, {}, scales])}


def head(draw: Random, data: Spec) -> None:
    """The way out, and how tensors are drawn."""
    data["head"] = {"tied": draw.random() < 0.5, "bias": draw.random() < 0.5}
    spread = draw.choice([0.0, 1.0, 1e300])
    kind = draw.choice(["linear", "embedding", "bias", "norm", "A_log"])
    data["init"] = {kind: {"distribution": draw.choice(["normal", "uniform", "constant"]), "spread": spread}}


CHANGES: list[Callable[[Random, Spec], None]] = [
    pattern, pattern, pattern, named, option, option, size, override, override, extends, branches, branches, head,
]  # fmt: skip
