"""Settings that are wrong on purpose: each must be seen in the logits, or equal logits would prove nothing.

Each is a change to the spec of our model or to its weights, and means something wherever it changes anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import composer
from composer.nn import Model

from .pair import Pair

Spec = dict[str, Any]
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Wrong:
    """A named wrong setting; `applies` says of a case whether it can show at all."""

    name: str
    spec: Callable[[Spec], None] = lambda spec: None
    weights: Callable[[Weights], None] = lambda weights: None
    applies: Callable[[Pair], bool] = lambda pair: True

    def __str__(self) -> str:
        return self.name

    def changed(self, pair: Pair) -> tuple[Spec, Weights] | None:
        """The right model's spec and weights with the wrong setting; None where that changes nothing."""
        right: Model = pair.ours
        if not self.applies(pair):
            return None
        before = right.plan.spec.model_dump(mode="json")
        spec = fill_scales(before, right)
        self.spec(spec)
        spec = before if spec == fill_scales(before, right) else spec
        own = right.state_dict()
        weights = dict(own)
        self.weights(weights)
        same = all(
            tensor is weights[name] or torch.equal(tensor, weights[name]) for name, tensor in own.items()
        )
        return None if spec == before and same else (spec, weights)

    def model(self, pair: Pair) -> Model:
        """A copy of the right model with the wrong setting, which means something there."""
        changed = self.changed(pair)
        assert changed is not None
        spec, weights = changed
        plan = composer.resolve(composer.read_spec(json.dumps(spec, indent=1)))
        model = composer.build(plan, dtype=torch.float32, seed=0)
        fitting = {
            n: weights[n]
            for n, p in model.state_dict().items()
            if n in weights and weights[n].shape == p.shape
        }
        model.load_state_dict(fitting, strict=False)
        return model.eval()


def fill_scales(spec: Spec, model: Model) -> Spec:
    """The same with the scale of every attention written out."""
    filled: Spec = json.loads(json.dumps(spec))
    known = {m.word: m.block for layer in model.plan.layers for _, m in layer.mixers()}
    for word, options in filled["blocks"].items():
        if word in known and known[word].kind == "attention":
            options["scale"] = known[word].scale
    return filled


def blocks(spec: Spec, kind: str) -> list[Spec]:
    more: Any = True
    names = {name for name, entry in spec["blocks"].items() if entry.get("kind") == kind}
    while more:
        more = {n for n, entry in spec["blocks"].items() if entry.get("extends") in names} - names
        names |= more
    return [entry for name, entry in spec["blocks"].items() if name in names]


def branches(spec: Spec) -> list[Spec]:
    own = [branch for entry in spec["blocks"].values() for branch in entry.get("branches") or ()]
    return [*(spec["layer"] or ()), *own]


def option(kind: str, name: str, change: Callable[[Any], Any]) -> Callable[[Spec], None]:
    """A change of one option, wherever a block of a kind has it or an override gives it."""

    def changed(spec: Spec) -> None:
        for options in [*blocks(spec, kind), *(override["set"] for override in spec["overrides"])]:
            if options.get(name) is not None:
                options[name] = change(options[name])

    return changed


def every_norm(change: Callable[[Spec], None]) -> Callable[[Spec], None]:
    """A change of the model's norm and of all that are written beside branches."""

    def changed(spec: Spec) -> None:
        for norm in [spec["norm"], *(b[k] for b in branches(spec) for k in ("norm", "post", "after"))]:
            if isinstance(norm, dict):
                change(norm)

    return changed


def larger_eps(norm: Spec) -> None:
    norm["eps"] = 2 * norm["eps"] + 1e-4


def no_offset(norm: Spec) -> None:
    norm["offset"] = 0.0


def post_norm(spec: Spec) -> None:
    """The norm before a branch behind the sum instead, or the other way round."""
    for branch in branches(spec):
        if branch["residual"] == 1 and not branch["post"]:
            branch["norm"], branch["after"] = branch["after"], branch["norm"]


def no_post(spec: Spec) -> None:
    for branch in branches(spec):
        branch["post"] = None


def reads_swapped(spec: Spec) -> None:
    for entry in spec["blocks"].values():
        if len(entry.get("reads") or ()) > 1:
            entry["reads"] = entry["reads"][::-1]


def residuals_in_guests(spec: Spec) -> None:
    for entry in spec["blocks"].values():
        if entry.get("reads"):
            entry["branches"][-1]["residual"] = 1.0


def alphas(spec: Spec) -> None:
    for entry in spec["blocks"].values():
        for adapter in (entry.get("adapters") or {}).values():
            adapter["alpha"] = 1.05 * adapter["rank"]


def key_of(part: str, key: str, change: Callable[[Any], Any]) -> Callable[[Spec], None]:
    """A change of one key of a part of the spec, where it has a value."""

    def changed(spec: Spec) -> None:
        if spec[part].get(key) is not None:
            spec[part][key] = change(spec[part][key])

    return changed


def rope_with(change: Callable[[Spec], None]) -> Callable[[Spec], None]:
    def changed(spec: Spec) -> None:
        for options in blocks(spec, "attention"):
            if options.get("rope"):
                change(options["rope"])

    return changed


def hotter(rope: Spec) -> None:
    rope["theta"] *= 1.5


def no_rope(spec: Spec) -> None:
    for options in blocks(spec, "attention"):
        options["rope"] = None


def ending(*ends: str) -> Callable[[str], bool]:
    return lambda name: name.endswith(ends)


def own_output(name: str) -> bool:
    return name.endswith(".out.o.weight") and not name.startswith("shared.")


def each(match: Callable[[str], bool], change: Callable[[Tensor], Tensor]) -> Callable[[Weights], None]:
    """A change of all weights whose names match."""

    def changed(weights: Weights) -> None:
        for name in filter(match, list(weights)):
            weights[name] = change(weights[name])

    return changed


def swapped(one: str, other: str) -> Callable[[Weights], None]:
    """Two tensors of every block exchanged; their names end alike and they are of one shape."""

    def changed(weights: Weights) -> None:
        for name in [name for name in weights if name.endswith(one)]:
            partner = name.removesuffix(one) + other
            if weights.get(partner, torch.empty(0)).shape == weights[name].shape:
                weights[name], weights[partner] = weights[partner], weights[name]

    return changed


def uses_rotated(weights: Weights) -> None:
    """What each use of a guest has of its own goes to the next use."""
    names = [
        n for n in weights if ".adapters." in n or (n.startswith("layers.") and n.endswith(".out.weight"))
    ]
    groups: dict[str, list[str]] = {}
    for name in names:
        _, _, rest = name.split(".", 2)
        if rest.count(".") > 1 and "mixer." not in rest:
            groups.setdefault(rest, []).append(name)
    for group in groups.values():
        values = [weights[name] for name in group]
        for name, value in zip(group, [*values[1:], values[0]], strict=True):
            weights[name] = value


def copies_swapped(weights: Weights) -> None:
    """Copy 0 of what is shared for copy 1."""
    for name in [name for name in weights if name.startswith("shared.") and name.split(".")[2] == "0"]:
        other = name.replace(".0.", ".1.", 1)
        if other in weights:
            weights[name], weights[other] = weights[other], weights[name]


def positions_late(weights: Weights) -> None:
    """Every learned position one row further on."""
    if "positions.weight" in weights:
        weights["positions.weight"] = weights["positions.weight"].roll(1, 0)


def layers_reversed(weights: Weights) -> None:
    """Weights of a layer for those of the layer as far from the end, where they have one shape."""
    last = max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))
    old = dict(weights)
    for name in [name for name in old if name.startswith("layers.")]:
        _, index, rest = name.split(".", 2)
        partner = f"layers.{last - int(index)}.{rest}"
        if partner in old and old[partner].shape == old[name].shape:
            weights[name] = old[partner]


def scaled(key: str) -> Callable[[Spec], None]:
    """Every branch multiplied by another factor."""

    def changed(spec: Spec) -> None:
        for branch in branches(spec):
            branch[key] *= 1.01

    return changed


def normed_again(pair: Pair) -> bool:
    """Whether a final norm meets a stream that the last layer has not already normalised without a weight."""
    last = pair.ours.plan.layers[-1].host.branches[-1].after
    return last is None or last.affine


def attends(pair: Pair) -> bool:
    """Whether any token sees another one through attention."""
    windows = {
        m.block.visibility.window
        for layer in pair.ours.plan.layers
        for _, m in layer.mixers()
        if m.block.kind == "attention"
    }
    return bool(windows - {1})


def no_norm_behind(pair: Pair) -> bool:
    return all(branch.post is None for layer in pair.ours.plan.layers for branch in layer.host.branches)


def guests_late(pair: Pair) -> bool:
    """Whether a guest rides where the stream is no longer the embedding."""
    return any(layer.guests for layer in pair.ours.plan.layers[1:])


def narrow(pair: Pair) -> bool:
    """Whether a window bites within the prompt."""
    slots = (slot for layer in pair.ours.plan.layers for slot in layer.slots().values())
    return any(slot.window and slot.window < pair.case.prompt for slot in slots)


WRONG = [
    Wrong("window + 1", option("attention", "sliding_window", lambda w: w + 1), applies=narrow),
    Wrong("window - 1", option("attention", "sliding_window", lambda w: max(1, w - 1)), applies=narrow),
    Wrong("scale + 1 %", option("attention", "scale", lambda s: 1.01 * s), applies=attends),
    # Further than elsewhere: heads of 4 channels have one slow angle, and a cap of 50 stands far above most scores.
    Wrong("theta + 50 %", rope_with(hotter), applies=attends),
    Wrong("no rope", no_rope, applies=attends),
    Wrong("a tenth of the cap of the scores", option("attention", "softcap", lambda c: 0.1 * c)),
    Wrong("cap of the logits + 2 %", key_of("head", "softcap", lambda c: 1.02 * c)),
    Wrong("eps x 2 + 1e-4", every_norm(larger_eps)),
    Wrong("norms without their offset", every_norm(no_offset)),
    Wrong("norms on the other side", post_norm),
    Wrong("no norm behind the branches", no_post),
    Wrong(
        "final norm or none",
        lambda spec: spec.update(final_norm=not spec["final_norm"]),
        applies=normed_again,
    ),
    Wrong("branches + 1 %", scaled("scale")),
    Wrong("layers reversed", weights=layers_reversed),
    Wrong("queries and keys swapped", weights=swapped("qkv.q.weight", "qkv.k.weight"), applies=attends),
    # To a norm behind it, as behind the attention of some guests, one factor more or less is nothing.
    Wrong("output + 1 %", weights=each(own_output, lambda w: 1.01 * w), applies=no_norm_behind),
    Wrong("norm weights + 1 %", weights=each(lambda n: "norm" in n, lambda w: 1.01 * w)),
    Wrong("other activation", option("mlp", "hidden_act", lambda a: "gelu" if a == "relu" else "relu")),
    Wrong("gate and up swapped", weights=swapped("gate_up.gate.weight", "gate_up.up.weight")),
    Wrong("embeddings + 1 %", key_of("embedding", "scale", lambda s: 1.01 * s)),
    Wrong("positions one row on", weights=positions_late),
    Wrong("biases + 1 %", weights=each(ending(".bias"), lambda b: 1.01 * b)),
    Wrong("head tied the other way", lambda spec: spec["head"].update(tied=not spec["head"]["tied"])),
    Wrong("what guests read swapped", reads_swapped, applies=guests_late),
    Wrong("guests with a residual", residuals_in_guests),
    Wrong("adapters + 5 %", alphas),
    Wrong("uses rotated", weights=uses_rotated),
    Wrong("copies swapped", weights=copies_swapped),
    Wrong("steps clamped", lambda spec: [b.update(dt_min=0.5) for b in blocks(spec, "mamba2")] and None),
    Wrong("eps of the gated norm x 10", option("mamba2", "norm_eps", lambda e: 10 * e)),
    Wrong("decay + 2 %", weights=each(ending("A_log"), lambda a: a + 0.02)),
    Wrong("step bias + 1 %", weights=each(ending("dt_bias"), lambda b: 1.01 * b)),
    Wrong("no skip", weights=each(ending(".D"), torch.zeros_like)),
    Wrong(
        "convolution a token late",
        weights=each(lambda n: ".conv." in n and n.endswith("weight"), lambda w: w.roll(-1, -1)),
    ),
    Wrong("gate and value swapped", weights=swapped("in.z.weight", "in.x.weight")),
    Wrong("B and C swapped", weights=swapped("in.B.weight", "in.C.weight")),
    Wrong("groups interleaved", weights=each(ending("in.B.weight"), lambda w: w.flip(0))),
]
