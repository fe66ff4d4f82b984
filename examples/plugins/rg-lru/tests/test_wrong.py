"""What a mistake would change is seen: each of these leaves the tolerance wherever it applies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from composer.nn import Step
from rg_lru import module, recurrence

from .beside import CASES, Case, Pair, distance

Weights = dict[str, Tensor]


def swapped(weights: Weights, one: str, other: str, *kinds: str) -> Weights:
    """Tensors in each other's place."""
    pairs = [(one + kind, other + kind) for kind in kinds]
    return weights | {a: weights[b] for a, b in pairs} | {b: weights[a] for a, b in pairs}


def without(weights: Weights, name: str) -> Weights:
    """A tensor of zeros."""
    return weights | {name: 0 * weights[name]}


WRONG: dict[str, Callable[[Weights], Weights]] = {
    "branches swapped": lambda w: swapped(w, "into.x", "into.y", ".weight", ".bias"),
    "gates swapped": lambda w: swapped(w, "input_gate", "decay_gate", "", "_bias"),
    "input gate transposed": lambda w: w | {"input_gate": w["input_gate"].mT},
    "decay gate transposed": lambda w: w | {"decay_gate": w["decay_gate"].mT},
    "taps reversed": lambda w: w | {"conv": w["conv"].flip(1)},
    "taps shifted": lambda w: w | {"conv": w["conv"].roll(1, 1)},
    "bias of the convolution lost": lambda w: without(w, "conv_bias"),
    "bias of the input gate lost": lambda w: without(w, "input_gate_bias"),
    "bias of the decay gate lost": lambda w: without(w, "decay_gate_bias"),
    "bias at the end lost": lambda w: without(w, "out.o.bias"),
    "decay a little faster": lambda w: w | {"decay": w["decay"] + 0.01},
}
CODE: dict[str, tuple[object, str, object]] = {
    "decays of seven, not eight": (module, "SHARPNESS", 7.0),
    "what is written is not scaled": (recurrence, "root", torch.ones_like),
    "scaled by the square": (recurrence, "root", lambda x: x),
    "the first token is scaled too": (Step, "first", None),
}
LONG = [case for case in CASES if case.tokens > 8][:8]


def seen(pair: Pair, model: object) -> bool:
    """Whether a wrong model is out of the tolerance."""
    tokens = [pair.case.tokens]
    return distance(pair.called(tokens, model), pair.expected(tokens)) > pair.tolerance


@pytest.mark.parametrize("case", LONG, ids=repr)
def test_wrong_weights(case: Case) -> None:
    """Each mistake in a name, an order or a parameter, and another activation."""
    pair = Pair(case)
    for what, change in WRONG.items():
        if case.width > case.heads or "transposed" not in what:
            assert seen(pair, pair.model(change(pair.weights))), what
    other = "gelu" if case.act != "gelu" else "silu"
    assert seen(pair, pair.model(hidden_act=other))


@pytest.mark.parametrize("what", CODE)
def test_wrong_code(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mistake in what is computed; where all is forgotten at once the scale hardly differs from 1."""
    monkeypatch.setattr(*CODE[what])
    for case in LONG:
        if case.keeps:
            pair = Pair(case)
            assert seen(pair, pair.ours), case
