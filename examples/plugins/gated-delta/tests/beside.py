"""The block beside the module of transformers that it follows, with the same weights, on one small configuration.

What is compared is what each returns, what each remembers, and the gradients of each; how far they may be apart follows
from how far two ways of transformers are apart: many tokens at once, and one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from composer import Site
from composer.testing import Alone, alone
from gated_delta import GatedDelta

reference = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")


@dataclass(frozen=True, repr=False)
class Case:
    """Sizes of one configuration, and of what is put through it."""

    hidden: int
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    tokens: int
    kernel: int = 4
    act: str = "silu"
    eps: float = 1e-6
    rows: int = 2

    def __repr__(self) -> str:
        return f"{self.key_heads}x{self.key_dim}-{self.value_heads}x{self.value_dim}-{self.tokens}"

    def block(self, **other: Any) -> GatedDelta:
        """Ours."""
        given = {
            "num_key_heads": self.key_heads,
            "num_value_heads": self.value_heads,
            "key_head_dim": self.key_dim,
            "value_head_dim": self.value_dim,
            "conv_kernel": self.kernel,
            "hidden_act": self.act,
            "norm_eps": self.eps,
            **other,
        }
        return GatedDelta(**given)

    def config(self) -> Any:
        """The configuration of theirs."""
        return reference.Qwen3NextConfig(
            hidden_size=self.hidden,
            linear_num_key_heads=self.key_heads,
            linear_num_value_heads=self.value_heads,
            linear_key_head_dim=self.key_dim,
            linear_value_head_dim=self.value_dim,
            linear_conv_kernel_dim=self.kernel,
            hidden_act=self.act,
            rms_norm_eps=self.eps,
            num_hidden_layers=1,
            layer_types=["linear_attention"],
        )


CASES = [
    Case(16, 1, 1, 8, 8, tokens=1),
    Case(16, 2, 2, 8, 8, tokens=2),
    Case(16, 2, 4, 8, 8, tokens=5),
    Case(24, 1, 4, 6, 10, tokens=17, eps=1e-3),
    Case(12, 3, 3, 5, 7, tokens=33, kernel=2),
    Case(12, 3, 6, 5, 7, tokens=63, kernel=3),
    Case(20, 2, 6, 4, 12, tokens=64, eps=1e-4),
    Case(20, 2, 2, 12, 4, tokens=65, kernel=5),
    Case(32, 4, 8, 8, 8, tokens=100, act="gelu"),
    Case(32, 4, 4, 16, 16, tokens=128, rows=1),
    Case(28, 1, 2, 32, 16, tokens=129, kernel=8),
    Case(28, 2, 8, 8, 24, tokens=150, rows=1, act="relu"),
    Case(40, 5, 5, 3, 9, tokens=70, rows=3),
    Case(16, 1, 1, 64, 64, tokens=90, eps=1e-2),
]


class Pair:
    """Both, with the same weights, four times as large as transformers draws them."""

    def __init__(self, case: Case) -> None:
        self.case = case
        torch.manual_seed(case.tokens)
        self.theirs = reference.Qwen3NextGatedDeltaNet(case.config(), 0).eval()
        with torch.no_grad():
            for name, parameter in self.theirs.named_parameters():
                wide = parameter.new_empty(parameter.shape).normal_()
                wide *= 4 * 0.02 if name.endswith("proj.weight") or "in_proj" in name else 0.3
                parameter.copy_(wide + 1 if name == "norm.weight" else wide)
        self.x = torch.randn(case.rows, case.tokens, case.hidden)
        self.ours = self.model()

    def model(self, weights: dict[str, Tensor] | None = None, **options: Any) -> Alone:
        """The block alone, with the weights of theirs unless told otherwise."""
        site = Site(reads=self.case.hidden, writes=self.case.hidden)
        return alone(self.case.block(**options), site, self.weights if weights is None else weights)

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The weights of theirs under our names."""
        return renamed(self.theirs.state_dict(), self.case)

    def called(self, sizes: Sequence[int], model: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """What ours returns and remembers, in calls of these sizes."""
        model = model or self.ours
        cache = model.new_cache(self.case.rows)
        with torch.no_grad():
            outs = [model(part, cache=cache) for part in self.x.split(list(sizes), 1)]
        return torch.cat(outs, 1), model.states(cache)

    def expected(self, sizes: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """The same of theirs."""
        cache = reference.DynamicCache(config=self.case.config())
        with torch.no_grad():
            outs = [self.theirs(part, cache_params=cache) for part in self.x.split(list(sizes), 1)]
        conv = cache.get_conv_state(0, state_idx=0)[..., 1 - self.case.kernel :]
        return torch.cat(outs, 1), {"conv": conv.mT, "memory": cache.get_recurrent_state(0, state_idx=0)}

    @cached_property
    def tolerance(self) -> float:
        """The larger of 1e-5 and three times the distance between two ways of theirs."""
        at_once, one_by_one = self.expected([self.case.tokens]), self.expected([1] * self.case.tokens)
        return max(1e-5, 3 * distance(at_once, one_by_one))

    def gradients(self) -> dict[str, Tensor]:
        """Of the weights and the input of ours, for a loss that is a random direction."""
        x = self.x.clone().requires_grad_()
        self.ours.zero_grad()
        (self.ours(x) * self.direction).sum().backward()
        return {"x": x.grad, **{name: p.grad for name, p in self.ours.block.named_parameters()}}

    def expected_gradients(self, chunk: int = 64) -> dict[str, Tensor]:
        """The same of theirs, under our names; `chunk` is how many tokens it works on at once."""
        x = self.x.clone().requires_grad_()
        self.theirs.zero_grad()
        rule = reference.torch_chunk_gated_delta_rule
        reference.torch_chunk_gated_delta_rule = partial(rule, chunk_size=chunk)
        try:
            (self.theirs(x) * self.direction).sum().backward()
        finally:
            reference.torch_chunk_gated_delta_rule = rule
        theirs = {name: p.grad.clone() for name, p in self.theirs.named_parameters()}
        return {"x": x.grad, **renamed(theirs, self.case)}

    @cached_property
    def direction(self) -> Tensor:
        """What the output is multiplied by."""
        return torch.randn(self.x.shape, generator=torch.Generator().manual_seed(1))


def renamed(theirs: dict[str, Tensor], case: Case) -> dict[str, Tensor]:
    """Tensors of a published layer under the names of the block, as the table in the README says."""
    shared, hidden = case.value_heads // case.key_heads, case.hidden
    qkvz = theirs["in_proj_qkvz.weight"].view(case.key_heads, -1, hidden)
    sizes = [case.key_dim, case.key_dim, shared * case.value_dim, shared * case.value_dim]
    parts = dict(zip("qkvz", qkvz.split(sizes, 1), strict=True))
    b, a = theirs["in_proj_ba.weight"].view(case.key_heads, 2 * shared, hidden).split(shared, 1)
    into = {
        f"into.{name}.weight": part.reshape(-1, hidden) for name, part in (parts | {"b": b, "a": a}).items()
    }
    return {
        "A_log": theirs["A_log"],
        "dt_bias": theirs["dt_bias"],
        "conv": theirs["conv1d.weight"].squeeze(1),
        "norm": theirs["norm.weight"],
        **into,
        "out.o.weight": theirs["out_proj.weight"],
    }


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))


def distance(a: tuple[Tensor, dict[str, Tensor]], b: tuple[Tensor, dict[str, Tensor]]) -> float:
    """The larger distance of what two return and of what they remember."""
    return max(apart(a[0], b[0]), *(apart(a[1][name], b[1][name]) for name in b[1]))
