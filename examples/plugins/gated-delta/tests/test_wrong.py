"""What a mistake would change is seen: each of these leaves the tolerance wherever it applies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gated_delta import delta

from .beside import CASES, Case, Pair, distance

Weights = dict[str, Tensor]


def swapped(weights: Weights, one: str, other: str) -> Weights:
    """Two projections in each other's place."""
    a, b = f"into.{one}.weight", f"into.{other}.weight"
    return weights | {a: weights[b], b: weights[a]}


def flat(weights: Weights, case: Case) -> Weights:
    """The published projection read as if its parts lay below each other, not head by head."""
    names = [f"into.{name}.weight" for name in "qkvz"]
    heads = [weights[name].view(case.key_heads, -1, case.hidden) for name in names]
    parts = torch.cat(heads, 1).flatten(0, 1).split([len(weights[name]) for name in names])
    return weights | dict(zip(names, parts, strict=True))


WRONG: dict[str, Callable[[Weights, Case], Weights]] = {
    "queries and keys swapped": lambda w, c: swapped(w, "q", "k"),
    "values and gates swapped": lambda w, c: swapped(w, "v", "z"),
    "rates and decays swapped": lambda w, c: swapped(w, "b", "a"),
    "heads read as parts": flat,
    "taps reversed": lambda w, c: w | {"conv": w["conv"].flip(1)},
    "taps shifted": lambda w, c: w | {"conv": w["conv"].roll(1, 1)},
    "oldest tap lost": lambda w, c: w | {"conv": w["conv"] * (torch.arange(c.kernel) > 0)},
    "decay one percent faster": lambda w, c: w | {"A_log": w["A_log"] + 0.01},
    "decay of A, not its exponent": lambda w, c: w | {"A_log": w["A_log"].abs().add(1e-3).log()},
    "bias of the step lost": lambda w, c: w | {"dt_bias": 0 * w["dt_bias"]},
    "norm around 1": lambda w, c: w | {"norm": w["norm"] + 1},
    "norm without a weight": lambda w, c: w | {"norm": torch.ones_like(w["norm"])},
}
OPTIONS = {"norm_eps": lambda c: 2 * c.eps, "hidden_act": lambda c: "gelu" if c.act == "silu" else "silu"}
WIDE = [case for case in CASES if case.tokens > 16]


def seen(pair: Pair, model: object) -> bool:
    """Whether a wrong model is out of the tolerance."""
    tokens = [pair.case.tokens]
    return distance(pair.called(tokens, model), pair.expected(tokens)) > pair.tolerance


@pytest.mark.parametrize("case", WIDE[:7], ids=repr)
def test_wrong_weights(case: Case) -> None:
    """Each mistake in a name, an order or a parameter."""
    pair = Pair(case)
    for what, change in WRONG.items():
        if case.key_heads > 1 or what != "heads read as parts":
            assert seen(pair, pair.model(change(pair.weights, case))), what


@pytest.mark.parametrize("case", WIDE[:7], ids=repr)
def test_wrong_options(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number or activation, and keys and queries that are not brought to length 1."""
    pair = Pair(case)
    for name, change in OPTIONS.items():
        assert seen(pair, pair.model(**{name: change(case)})), name
    monkeypatch.setattr(delta, "unit", lambda x: x)
    assert seen(pair, pair.ours)
