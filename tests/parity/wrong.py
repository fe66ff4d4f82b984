"""Settings that are wrong on purpose: each must be seen in the logits, or equal logits would prove nothing.

Each is a change to the spec of our model or to its weights; `applies` says in which cases the change
means anything at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import composer
from composer.nn.rope import inverse_frequencies

from .configs import Case

Spec = dict[str, Any]
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Wrong:
    """A named wrong setting."""

    name: str
    applies: Callable[[Case, Any], bool]
    spec: Callable[[Spec, Case], None] = lambda spec, case: None
    weights: Callable[[Weights, Case], None] = lambda weights, case: None

    def __str__(self) -> str:
        return self.name

    def model(self, right: Any, case: Case) -> Any:
        """A copy of `right` with the wrong setting."""
        spec = json.loads(right.plan.spec.model_dump_json())
        self.spec(spec, case)
        model = composer.build(
            composer.resolve(composer.read_spec(json.dumps(spec, indent=1))), dtype=torch.float32, seed=0
        )
        weights = {name: tensor.clone() for name, tensor in right.state_dict().items()}
        self.weights(weights, case)
        model.load_state_dict(weights, strict=False)
        return model.eval()


def blocks(spec: Spec, kind: str) -> list[dict[str, Any]]:
    return [options for options in spec["blocks"].values() if options.get("kind") == kind]


def option(kind: str, name: str, value: Callable[[Any, Case], Any]) -> Callable[[Spec, Case], None]:
    """A change of one option in every block of a kind."""

    def change(spec: Spec, case: Case) -> None:
        for options in blocks(spec, kind):
            options[name] = value(options.get(name), case)

    return change


def swapped(one: str, other: str) -> Callable[[Weights, Case], None]:
    """Two tensors of every layer exchanged; names that end alike."""

    def change(weights: Weights, case: Case) -> None:
        for name in [name for name in weights if name.endswith(one)]:
            partner = name.removesuffix(one) + other
            weights[name], weights[partner] = weights[partner], weights[name]

    return change


def head_dim(case: Case) -> int:
    return case.config["head_dim"] or case.config["hidden_size"] // case.config["num_attention_heads"]


def attends(case: Case, model: Any = None) -> bool:
    """Whether a token sees another one: with a window of 1 no angle and no scale matters."""
    return case.config["sliding_window"] != 1


def window_below(case: Case, bound: int) -> bool:
    window = case.config["sliding_window"]
    return window is not None and window < bound


def turned(case: Case, model: Any, change: Callable[[Any, Case], Any]) -> bool:
    """Whether a change of the rope moves any angle between two tokens that meet by a thousandth."""
    options = blocks(json.loads(model.plan.spec.model_dump_json()), "attention")[0]["rope"]
    tables = [
        inverse_frequencies(
            composer.options.Rope.model_validate(rope),
            head_dim(case),
            max_positions=case.config["max_position_embeddings"],
            length=case.prompt,
        )
        for rope in (options, change(options, case))
    ]
    reach = min(case.prompt, case.config["sliding_window"] or case.prompt) - 1
    moved = (tables[0][0] - tables[1][0]).abs().max() * reach > 1e-3
    return attends(case) and (bool(moved) or tables[0][1] != tables[1][1])


def hotter(rope: dict[str, Any], case: Case) -> dict[str, Any]:
    return {**rope, "theta": rope["theta"] * 1.01}


def plain(rope: dict[str, Any], case: Case) -> dict[str, Any]:
    return {"theta": rope["theta"]}


def tile_key_heads(weights: Weights, case: Case) -> None:
    """Query head h reads key head h modulo the number of key heads, instead of neighbours sharing one."""
    heads, groups, dim = (
        case.config["num_attention_heads"],
        case.config["num_key_value_heads"],
        head_dim(case),
    )
    order = torch.tensor(sorted(range(heads), key=lambda head: head % groups))
    for name in weights:
        if name.endswith("qkv.q.weight"):
            weights[name] = weights[name].unflatten(0, (heads, dim))[order].flatten(0, 1)
        if name.endswith("out.o.weight"):
            weights[name] = weights[name].unflatten(1, (heads, dim))[:, order].flatten(1, 2)


def interleave_channels(weights: Weights, case: Case) -> None:
    """Neighbouring channels turn together, instead of channels half a head apart."""
    dim = head_dim(case)
    order = torch.cat((torch.arange(0, dim, 2), torch.arange(1, dim, 2)))
    for name in weights:
        if name.endswith(("qkv.q.weight", "qkv.k.weight")):
            weights[name] = weights[name].unflatten(0, (-1, dim))[:, order].flatten(0, 1)


def reverse_layers(weights: Weights, case: Case) -> None:
    last = case.config["num_hidden_layers"] - 1
    old = dict(weights)
    for name, tensor in old.items():
        if name.startswith("layers."):
            _, index, rest = name.split(".", 2)
            weights[f"layers.{last - int(index)}.{rest}"] = tensor


def plain_final_norm(weights: Weights, case: Case) -> None:
    weights["norm.weight"] = torch.ones_like(weights["norm.weight"])


def flip_tying(spec: Spec, case: Case) -> None:
    spec["head"]["tied"] = not spec["head"]["tied"]


def double_eps(spec: Spec, case: Case) -> None:
    spec["norm"]["eps"] *= 2


def subtract_mean(spec: Spec, case: Case) -> None:
    spec["norm"]["kind"] = "layer"
    for branch in spec["layer"]:
        branch["norm"] = "layer"


def add_bias(weights: Weights, case: Case) -> None:
    for name in [name for name in weights if name.endswith("qkv.v.weight")]:
        weights[name.replace("weight", "bias")] = torch.full((len(weights[name]),), 0.01)


WRONG = [
    Wrong(
        "window + 1",
        lambda case, _: window_below(case, case.prompt),
        option("attention", "sliding_window", lambda window, _: window + 1),
    ),
    Wrong(
        "window - 1",
        lambda case, _: attends(case) and window_below(case, case.prompt + 1),
        option("attention", "sliding_window", lambda window, _: window - 1),
    ),
    Wrong(
        "no window",
        lambda case, _: window_below(case, case.prompt),
        option("attention", "sliding_window", lambda window, _: None),
    ),
    Wrong(
        "theta + 1 %", lambda case, model: turned(case, model, hotter), option("attention", "rope", hotter)
    ),
    Wrong(
        "rope not stretched",
        lambda case, model: turned(case, model, plain),
        option("attention", "rope", plain),
    ),
    Wrong("no rope", attends, option("attention", "rope", lambda rope, _: None)),
    Wrong(
        "neighbouring channels turned",
        lambda case, _: attends(case) and head_dim(case) > 2,
        weights=interleave_channels,
    ),
    Wrong("eps x 2", lambda case, _: True, double_eps),
    Wrong(
        "other activation",
        lambda case, _: True,
        option("mlp", "hidden_act", lambda name, _: "gelu" if name == "relu" else "relu"),
    ),
    Wrong(
        "scale + 1 %", attends, option("attention", "scale", lambda _, case: 1.01 * head_dim(case) ** -0.5)
    ),
    Wrong(
        "bias of the values",
        lambda case, _: True,
        option("attention", "bias", lambda _, case: True),
        add_bias,
    ),
    Wrong(
        "key heads tiled",
        lambda case, _: 1 < case.config["num_key_value_heads"] < case.config["num_attention_heads"],
        weights=tile_key_heads,
    ),
    Wrong("gate and up swapped", lambda case, _: True, weights=swapped("gate.weight", "up.weight")),
    Wrong(
        "norms of a layer swapped",
        lambda case, _: True,
        weights=swapped("norms.mixer.weight", "norms.mlp.weight"),
    ),
    Wrong("head tied the other way", lambda case, _: True, flip_tying),
    Wrong("final norm without its weight", lambda case, _: True, weights=plain_final_norm),
    Wrong("mean subtracted by the norms", lambda case, _: True, subtract_mean),
    Wrong("layers reversed", lambda case, _: case.config["num_hidden_layers"] > 1, weights=reverse_layers),
]
