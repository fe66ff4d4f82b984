"""The block beside its reference, `Lfm2ShortConv` of transformers: outputs, states and gradients.

The tolerance of a case is the larger of 1e-5 and three times the distance between the reference's own ways to
the same numbers: all tokens at once, one by one over a cache, in chunks over a cache.
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
from transformers import DynamicCache, Lfm2Config
from transformers.models.lfm2.modeling_lfm2 import Lfm2ShortConv

from composer import Site
from composer.testing import Alone, alone
from short_conv.options import ShortConv


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30))


def ours_of(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The name map: weights, or their gradients, of the reference by our names."""
    found = {"kernel": theirs["conv.weight"].squeeze(1), "out_proj.out.weight": theirs["out_proj.weight"]}
    found |= {
        f"in_proj.{part}.weight": rows
        for part, rows in zip("BCx", theirs["in_proj.weight"].chunk(3), strict=True)
    }
    if "conv.bias" in theirs:
        found |= {"kernel_bias": theirs["conv.bias"], "out_proj.out.bias": theirs["out_proj.bias"]}
        found |= {
            f"in_proj.{part}.bias": rows
            for part, rows in zip("BCx", theirs["in_proj.bias"].chunk(3), strict=True)
        }
    return {name: tensor.detach().clone() for name, tensor in found.items()}


@dataclass(frozen=True)
class Case:
    """Random sizes, and both sides with the same weights, four times as wide as they are usually drawn."""

    seed: int

    @cached_property
    def sizes(self) -> dict[str, Any]:
        draw = random.Random(self.seed)
        return {
            "width": draw.choice([3, 8, 16, 33, 48]),
            "kernel": 2 + self.seed % 6,
            "bias": self.seed % 2 == 1,
            "rows": draw.randint(1, 3),
            "tokens": draw.randint(2, 24),
        }

    @cached_property
    def reference(self) -> Lfm2ShortConv:
        config = Lfm2Config(
            hidden_size=self.sizes["width"],
            conv_L_cache=self.sizes["kernel"],
            conv_bias=self.sizes["bias"],
            num_hidden_layers=1,
            layer_types=["conv"],
        )
        module = Lfm2ShortConv(config, 0)
        for parameter in module.parameters():
            parameter.data.normal_(
                std=0.08, generator=torch.Generator().manual_seed(self.seed + parameter.numel())
            )
        return module.eval()

    @cached_property
    def x(self) -> Tensor:
        return self.drawn(self.sizes["tokens"], 0)

    def drawn(self, tokens: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(1000 * seed + self.seed)
        return torch.randn(self.sizes["rows"], tokens, self.sizes["width"], generator=generator)

    @property
    def calls(self) -> dict[str, list[int]]:
        """How many tokens each call takes: at once, one by one, in chunks behind a prompt, one chunk last."""
        tokens = self.sizes["tokens"]
        return {"once": [tokens], "single": [1] * tokens, "chunks": [tokens // 2, tokens - tokens // 2]}

    def theirs(self, calls: list[int], x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the reference returns over a cache, and its state behind it, as (rows, kernel - 1, width)."""
        cache = DynamicCache(config=self.reference.config)
        parts = (self.x if x is None else x).split([n for n in calls if n], 1)
        with torch.no_grad():
            outs = [self.reference(part, past_key_values=cache) for part in parts]
        return torch.cat(outs, 1), cache.layers[0].conv_states[0].mT[:, 1:]

    def model(self, weights: dict[str, Tensor] | None = None) -> Alone:
        """Our block."""
        block = ShortConv(kernel_size=self.sizes["kernel"], bias=self.sizes["bias"])
        site = Site(reads=self.sizes["width"], writes=self.sizes["width"])
        return alone(block, site, weights or ours_of(dict(self.reference.named_parameters())))

    def ours(
        self, calls: list[int], model: Alone | None = None, x: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same of ours."""
        model, x = model or self.model(), self.x if x is None else x
        cache = model.new_cache(len(x))
        parts = x.split([n for n in calls if n], 1)
        with torch.no_grad():
            outs = [model(part, cache) for part in parts]
        return torch.cat(outs, 1), model.states(cache)["conv"]

    @cached_property
    def tolerance(self) -> float:
        expected, *others = [self.theirs(calls)[0] for calls in self.calls.values()]
        return max(1e-5, 3 * max(relative(other, expected) for other in others))


CASES = [Case(seed) for seed in range(14)]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.sizes))


@each_case
@pytest.mark.parametrize("way", ["once", "single", "chunks"])
def test_outputs_and_states(case: Case, way: str) -> None:
    """In every way to feed the tokens, the reference's numbers and the reference's state."""
    expected, state = case.theirs(case.calls[way])
    out, held = case.ours(case.calls[way])
    assert relative(out, expected) <= case.tolerance
    assert relative(held, state) <= case.tolerance


@each_case
def test_gradients(case: Case) -> None:
    """Of a weighted sum of the outputs, by every weight and by the input."""
    probe = case.drawn(case.sizes["tokens"], 1)
    x, y = case.x.clone().requires_grad_(), case.x.clone().requires_grad_()
    case.reference.zero_grad()
    (case.reference(x) * probe).sum().backward()
    model = case.model()
    (model(y) * probe).sum().backward()
    expected = ours_of({name: p.grad for name, p in case.reference.named_parameters()}) | {"x": x.grad}
    own = model.block.named_parameters()
    found = {name: p.grad for name, p in own} | {"x": y.grad}
    assert expected.keys() == found.keys()
    assert max(relative(found[name], grad) for name, grad in expected.items()) <= case.tolerance


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_no_worse(dtype: torch.dtype) -> None:
    """Over all cases the error against float64 is at most 1.1 times that of the reference."""
    errors = torch.zeros(2, dtype=torch.float64)
    for case in CASES:
        with torch.no_grad():
            x = case.x.to(dtype)
            exact = case.model().double()(x.double())
            theirs = Case(case.seed).reference.to(dtype)
            ours = case.model(ours_of(dict(case.reference.named_parameters()))).to(dtype)
            found = ours(x), theirs(x)
        errors += torch.stack(
            [(out.double() - exact).square().mean().sqrt() / exact.square().mean().sqrt() for out in found]
        )
    assert errors[0] <= 1.1 * errors[1]


def swapped(weights: dict[str, Tensor], one: str, other: str) -> dict[str, Tensor]:
    """Two projections take each other's place."""
    turned = str.maketrans(one + other, other + one)
    return {name.translate(turned): tensor for name, tensor in weights.items()}


def left_out(weights: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    """A bias of zeros."""
    biases = {name for name in weights if name.startswith(start) and name.endswith("bias")}
    return weights | {name: torch.zeros_like(weights[name]) for name in biases}


def changed(weights: dict[str, Tensor], kernel: Tensor) -> dict[str, Tensor]:
    """Another kernel."""
    return weights | {"kernel": kernel}


WRONG: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "B is C": lambda w: swapped(w, "B", "C"),
    "C is x": lambda w: swapped(w, "C", "x"),
    "kernel turned round": lambda w: changed(w, w["kernel"].flip(1)),
    "kernel one token late": lambda w: changed(w, w["kernel"].roll(-1, 1)),
    "oldest token not seen": lambda w: changed(w, torch.cat([0 * w["kernel"][:, :1], w["kernel"][:, 1:]], 1)),
    "channels in another order": lambda w: changed(w, w["kernel"].roll(1, 0)),
    "kernel 5 % too large": lambda w: changed(w, 1.05 * w["kernel"]),
    "no bias of the kernel": lambda w: left_out(w, "kernel"),
    "no bias before it": lambda w: left_out(w, "in_proj"),
    "no bias behind it": lambda w: left_out(w, "out_proj"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_are_noticed(wrong: str) -> None:
    """A comparison that nothing can fail proves nothing: each of these is further away than any tolerance."""
    for case in CASES:
        sizes = case.sizes
        if ("bias" in wrong and not sizes["bias"]) or (
            "oldest" in wrong and sizes["tokens"] < sizes["kernel"]
        ):
            continue
        weights = WRONG[wrong](ours_of(dict(case.reference.named_parameters())))
        out, _ = case.ours(case.calls["once"], case.model(weights))
        assert relative(out, case.theirs(case.calls["once"])[0]) > 3 * case.tolerance


@each_case
def test_a_forgotten_state_is_noticed(case: Case) -> None:
    """Tokens that do not continue the ones before them return something else."""
    half = case.sizes["tokens"] // 2
    out, _ = case.ours([case.sizes["tokens"] - half], x=case.x[:, half:])
    assert relative(out, case.theirs(case.calls["once"])[0][:, half:]) > 3 * case.tolerance
