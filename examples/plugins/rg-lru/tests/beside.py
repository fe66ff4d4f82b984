"""The block beside the module of transformers that it follows, with the same weights, on one small configuration.

What is compared is what each returns, what each remembers, and the gradients of each; how far they may be apart follows
from how far ways of transformers are apart: many tokens at once, one by one, and in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from composer import Site
from composer.testing import Alone, alone
from rg_lru import RGLRU

reference = pytest.importorskip("transformers.models.recurrent_gemma.modeling_recurrent_gemma")

Found = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True, repr=False)
class Case:
    """Sizes of one configuration, and of what is put through it; `keeps` is how near 1 decays are."""

    hidden: int
    width: int
    heads: int
    tokens: int
    kernel: int = 4
    act: str = "gelu_pytorch_tanh"
    rows: int = 2
    keeps: float = 4.0

    def __repr__(self) -> str:
        return f"{self.hidden}-{self.width}-{self.heads}-{self.tokens}"

    @property
    def singles(self) -> list[int]:
        """As near to one by one as theirs can: its first call needs two tokens where the widths differ."""
        first = 1 if self.hidden == self.width else 2
        return [first] + [1] * (self.tokens - first)

    def block(self, **other: Any) -> RGLRU:
        """Ours."""
        given = {
            "width": self.width,
            "num_heads": self.heads,
            "conv_kernel": self.kernel,
            "hidden_act": self.act,
            **other,
        }
        return RGLRU(**given)

    def config(self) -> Any:
        """The configuration of theirs."""
        return reference.RecurrentGemmaConfig(
            hidden_size=self.hidden,
            lru_width=self.width,
            num_attention_heads=self.heads,
            conv1d_width=self.kernel,
            hidden_activation=self.act,
        )


CASES = [
    Case(16, 16, 1, tokens=1),
    Case(16, 16, 4, tokens=2),
    Case(16, 16, 2, tokens=3, keeps=0.0),
    Case(12, 24, 3, tokens=5, kernel=2),
    Case(24, 12, 6, tokens=9, kernel=3),
    Case(16, 16, 16, tokens=16),
    Case(16, 16, 4, tokens=17, rows=3),
    Case(20, 40, 5, tokens=30, act="silu"),
    Case(20, 20, 10, tokens=50, keeps=8.0),
    Case(32, 32, 2, tokens=64, kernel=5),
    Case(32, 32, 4, tokens=65, rows=1, keeps=0.0),
    Case(28, 42, 7, tokens=100, act="relu"),
    Case(36, 36, 4, tokens=129, kernel=8),
    Case(24, 48, 8, tokens=200, rows=1, keeps=6.0),
]


class Pair:
    """Both, with the same weights, four times as large as transformers draws them."""

    def __init__(self, case: Case) -> None:
        self.case = case
        torch.manual_seed(case.tokens)
        self.theirs = reference.RecurrentGemmaRecurrentBlock(case.config(), 0).eval()
        with torch.no_grad():
            for name, parameter in self.theirs.named_parameters():
                spread = 0.5 if parameter.ndim == 1 or "gate_bias" in name else 4 * 0.02
                parameter.normal_(std=4 * 0.1 if "gate_weight" in name or "conv" in name else spread)
            self.theirs.rg_lru.recurrent_param.sub_(case.keeps)
        self.x = torch.randn(case.rows, case.tokens, case.hidden)
        self.ours = self.model()

    def model(self, weights: dict[str, Tensor] | None = None, **options: Any) -> Alone:
        """The block alone, with the weights of theirs unless told otherwise."""
        site = Site(reads=self.case.hidden, writes=self.case.hidden)
        return alone(self.case.block(**options), site, self.weights if weights is None else weights)

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The weights of theirs under our names."""
        return renamed(self.theirs.state_dict())

    def called(self, sizes: Sequence[int], model: Any = None) -> Found:
        """What ours returns and remembers, in calls of these sizes."""
        model = model or self.ours
        cache = model.new_cache(self.case.rows)
        with torch.no_grad():
            outs = [model(part, cache=cache) for part in self.x.split(list(sizes), 1)]
        return torch.cat(outs, 1), model.states(cache)

    def expected(self, sizes: Sequence[int], dtype: torch.dtype = torch.float32) -> Found:
        """The same of theirs; only the first call may have several tokens."""
        theirs = in_dtype(self.theirs, dtype)
        theirs._setup_cache(self.case.rows, self.x.device, dtype)
        starts = [sum(sizes[:number]) for number in range(len(sizes))]
        with torch.no_grad():
            outs = [
                theirs(part.to(dtype), positions(start, part.shape[1]), None)[0]
                for start, part in zip(starts, self.x.split(list(sizes), 1), strict=True)
            ]
        memory = {"conv": theirs.conv1d_state.mT, "memory": theirs.rg_lru.recurrent_states}
        return torch.cat(outs, 1), memory

    @cached_property
    def tolerance(self) -> float:
        """The larger of 1e-5 and three times the distance between ways of theirs."""
        at_once = self.expected([self.case.tokens])
        others = self.expected(self.case.singles), self.expected([self.case.tokens], torch.float64)
        return max(1e-5, *(3 * distance(other, at_once) for other in others))

    def gradients(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Of the weights and the input of ours, for a loss that is a random direction."""
        x, ours = self.x.clone().to(dtype).requires_grad_(), copy.deepcopy(self.ours).to(dtype)
        (ours(x) * self.direction).sum().backward()
        return {"x": x.grad, **{name: p.grad for name, p in ours.block.named_parameters()}}

    def expected_gradients(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The same of theirs, under our names."""
        x, theirs = self.x.clone().to(dtype).requires_grad_(), in_dtype(self.theirs, dtype)
        out, _ = theirs(x, positions(0, self.case.tokens), None, use_cache=False)
        (out * self.direction).sum().backward()
        found = {name: p.grad for name, p in theirs.named_parameters()}
        return {"x": x.grad, **renamed(found)}

    @cached_property
    def direction(self) -> Tensor:
        """What the output is multiplied by."""
        return torch.randn(self.x.shape, generator=torch.Generator().manual_seed(1))


def in_dtype(theirs: Any, dtype: torch.dtype) -> Any:
    """A copy that computes in a dtype; its scan, which is in float32 otherwise, too."""
    found = copy.deepcopy(theirs).to(dtype)
    if dtype == torch.float64:
        found.rg_lru._rnn_scan = partial(found.rg_lru._rnn_scan, acc_dtype=dtype)
    return found


def renamed(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a published layer under the names of the block, as the table in the README says."""
    return {
        "decay": theirs["rg_lru.recurrent_param"],
        "conv": theirs["conv_1d.weight"].squeeze(1),
        "input_gate": theirs["rg_lru.input_gate_weight"],
        "decay_gate": theirs["rg_lru.recurrent_gate_weight"],
        "conv_bias": theirs["conv_1d.bias"],
        "input_gate_bias": theirs["rg_lru.input_gate_bias"].flatten(),
        "decay_gate_bias": theirs["rg_lru.recurrent_gate_bias"].flatten(),
        **{
            f"{ours}.{kind}": theirs[f"{name}.{kind}"]
            for ours, name in (("into.x", "linear_x"), ("into.y", "linear_y"), ("out.o", "linear_out"))
            for kind in ("weight", "bias")
        },
    }


def positions(start: int, count: int) -> Tensor:
    """(1, count) of tokens that follow `start` others."""
    return torch.arange(start, start + count)[None]


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30))


def distance(a: Found, b: Found) -> float:
    """The larger distance of what two return and of what they remember."""
    return max(apart(a[0], b[0]), *(apart(a[1][name], b[1][name]) for name in b[1]))
