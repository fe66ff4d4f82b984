"""The block beside its reference, `MixtralSparseMoeBlock` of transformers: outputs and gradients.

The tolerance of a case is the larger of 1e-5 and three times the distance between the reference's own ways to
the same numbers: its two implementations of the experts, all tokens at once and one by one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

from composer import Site
from composer.testing import Alone, alone
from moe_mlp.options import MoEMLP

ACTS = ("silu", "gelu", "relu")
Weights = dict[str, Tensor]


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30))


def ours_of(theirs: Weights) -> Weights:
    """The name map: weights, or their gradients, of the reference by our names."""
    found = {"router.router.weight": theirs["gate.weight"]}
    stacked = zip(theirs["experts.gate_up_proj"], theirs["experts.down_proj"], strict=True)
    for number, (gate_up, down) in enumerate(stacked):
        gate, up = gate_up.chunk(2)
        found[f"experts.{number}.gate_up.gate.weight"] = gate
        found[f"experts.{number}.gate_up.up.weight"] = up
        found[f"experts.{number}.down.down.weight"] = down
    return {name: tensor.detach().clone() for name, tensor in found.items()}


@dataclass(frozen=True)
class Case:
    """Random sizes, and both sides with the same weights, four times as wide as they are usually drawn."""

    seed: int

    @cached_property
    def sizes(self) -> dict[str, Any]:
        draw = random.Random(self.seed)
        experts = draw.randint(2, 9)
        return {
            "width": draw.choice([8, 16, 33, 48]),
            "inner": draw.choice([5, 16, 40]),
            "experts": experts,
            "chosen": draw.randint(1, min(4, experts)),
            "act": ACTS[self.seed % 3],
            "rows": draw.randint(1, 3),
            "tokens": draw.randint(4, 24),
        }

    def reference(self, experts: str = "eager") -> MixtralSparseMoeBlock:
        """The reference, with one of its ways to compute the experts."""
        sizes = self.sizes
        config = MixtralConfig(
            hidden_size=sizes["width"],
            intermediate_size=sizes["inner"],
            num_local_experts=sizes["experts"],
            num_experts_per_tok=sizes["chosen"],
            hidden_act=sizes["act"],
        )
        config._experts_implementation = experts
        module = MixtralSparseMoeBlock(config)
        for number, parameter in enumerate(module.parameters()):
            parameter.data.normal_(std=0.08, generator=torch.Generator().manual_seed(10 * self.seed + number))
        return module.eval()

    @cached_property
    def weights(self) -> Weights:
        return ours_of(dict(self.reference().named_parameters()))

    @cached_property
    def x(self) -> Tensor:
        return self.drawn(0)

    def drawn(self, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(1000 * seed + self.seed)
        return torch.randn(self.sizes["rows"], self.sizes["tokens"], self.sizes["width"], generator=generator)

    @cached_property
    def expected(self) -> Tensor:
        with torch.no_grad():
            return self.reference()(self.x)

    def ours(self, size: int, weights: Weights | None = None, **options: Any) -> Tensor:
        """What our block returns, `size` tokens at a time over a cache."""
        model = self.model(weights, **options)
        cache = model.new_cache(len(self.x))
        with torch.no_grad():
            return torch.cat([model(x, cache) for x in self.x.split(size, 1)], 1)

    def model(self, weights: Weights | None = None, **options: Any) -> Alone:
        """Our block."""
        given = {
            "num_experts": self.sizes["experts"],
            "num_experts_per_tok": self.sizes["chosen"],
            "intermediate_size": self.sizes["inner"],
            "hidden_act": self.sizes["act"],
            **options,
        }
        site = Site(reads=self.sizes["width"], writes=self.sizes["width"])
        return alone(MoEMLP(**given), site, weights or self.weights)

    @cached_property
    def tolerance(self) -> float:
        module = self.reference()
        with torch.no_grad():
            others = [torch.cat([module(x) for x in self.x.split(1, 1)], 1)]
            others.append(self.reference("batched_mm")(self.x))
        return max(1e-5, 3 * max(relative(other, self.expected) for other in others))


CASES = [Case(seed) for seed in range(15)]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.sizes))


@each_case
@pytest.mark.parametrize("size", [1, 5, 100])
def test_outputs(case: Case, size: int) -> None:
    """One by one, in chunks and at once, the reference's numbers."""
    assert relative(case.ours(size), case.expected) <= case.tolerance


@each_case
def test_gradients(case: Case) -> None:
    """Of a weighted sum of the outputs, by every weight, those of experts that no token chose too, and by the input."""
    probe, reference, model = case.drawn(1), case.reference(), case.model()
    x, y = case.x.clone().requires_grad_(), case.x.clone().requires_grad_()
    (reference(x) * probe).sum().backward()
    (model(y) * probe).sum().backward()
    expected = ours_of({name: p.grad for name, p in reference.named_parameters()}) | {"x": x.grad}
    own = model.block.named_parameters()
    found = {name: p.grad for name, p in own} | {"x": y.grad}
    assert expected.keys() == found.keys()
    top = max(float(grad.abs().max()) for grad in expected.values())
    for name, grad in expected.items():  # one that should be zero is measured by the largest
        scale = float(grad.abs().max()) + 1e-2 * top
        assert float((found[name] - grad).abs().max()) <= case.tolerance * scale


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_no_worse(dtype: torch.dtype) -> None:
    """Over all cases the error against float64 is at most 1.1 times that of the reference."""
    errors = torch.zeros(2, dtype=torch.float64)
    for case in CASES:
        with torch.no_grad():
            x = case.x.to(dtype)
            exact = case.reference().double()(x.double())
            found = case.model().to(dtype)(x), case.reference().to(dtype)(x)
        scale = exact.square().mean().sqrt()
        errors += torch.stack([(out.double() - exact).square().mean().sqrt() / scale for out in found])
    assert errors[0] <= 1.1 * errors[1]


def moved(weights: Weights, part: str, other: Callable[[Tensor], Tensor]) -> Weights:
    """Other values where a name has `part` in it."""
    return {name: other(tensor) if part in name else tensor for name, tensor in weights.items()}


def gates_for_ups(weights: Weights) -> Weights:
    """Gate and up take each other's place."""
    turned = {
        name.replace("_up.gate.", "_up.?.").replace("_up.up.", "_up.gate."): t for name, t in weights.items()
    }
    return {name.replace("_up.?.", "_up.up."): tensor for name, tensor in turned.items()}


WRONG: dict[str, Callable[[Case], Tensor]] = {
    "router rows in another order": lambda c: c.ours(100, moved(c.weights, "router", lambda w: w.roll(1, 0))),
    "router 1 % too sharp": lambda c: c.ours(100, moved(c.weights, "router", lambda w: 1.01 * w)),
    "gate is up": lambda c: c.ours(100, gates_for_ups(c.weights)),
    "another activation": lambda c: c.ours(100, hidden_act="gelu" if c.sizes["act"] == "silu" else "silu"),
    "one expert too few": lambda c: c.ours(100, num_experts_per_tok=c.sizes["chosen"] - 1),
    "one expert too many": lambda c: c.ours(100, num_experts_per_tok=c.sizes["chosen"] + 1),
    "experts 1 % too large": lambda c: c.ours(100, moved(c.weights, "down", lambda w: 1.01 * w)),
    "weights not scaled to 1": lambda c: c.ours(100) * kept(c),
    "weights all alike": lambda c: c.ours(100, moved(c.weights, "router", lambda w: 1e-4 * w)),
}


def kept(case: Case) -> Tensor:
    """(rows, tokens, 1) how much of the router's softmax the chosen experts have."""
    probabilities = (case.x @ case.weights["router.router.weight"].mT).softmax(-1)
    return probabilities.topk(case.sizes["chosen"]).values.sum(-1, keepdim=True)


def applies(wrong: str, case: Case) -> bool:
    """Whether a wrong setting exists for a case, and is wrong there."""
    chosen, experts = case.sizes["chosen"], case.sizes["experts"]
    needed = {"one expert too few": chosen > 1, "one expert too many": chosen < experts}
    needed |= {"weights not scaled to 1": chosen < experts, "router 1 % too sharp": chosen > 1}
    return needed.get(wrong, True) and (wrong != "weights all alike" or chosen > 1)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_are_noticed(wrong: str) -> None:
    """A comparison that nothing can fail proves nothing: each of these is further away than any tolerance."""
    cases = [case for case in CASES if applies(wrong, case)]
    assert len(cases) >= 9
    for case in cases:
        assert relative(WRONG[wrong](case), case.expected) > 3 * case.tolerance
