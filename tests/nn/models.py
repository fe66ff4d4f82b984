"""Small models whose weights are wide enough that every setting shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import composer
from composer import Plan, Spec
from composer.nn import Model

VOCAB = 31


def plan(windows: Sequence[int | None] = (None,), head: Any = "causal-lm", **attention: Any) -> Plan:
    """One attention and one MLP a layer, each layer with its window."""
    return composer.resolve(spec(windows, **attention), head=head)


def spec(windows: Sequence[int | None] = (None,), **attention: Any) -> Spec:
    """What `plan` resolves."""
    words = {f"w{number}": window for number, window in enumerate(windows)}
    options = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "rope": {"theta": 1e4}}
    return composer.Spec.model_validate(
        {
            "composer": 1,
            "name": "small",
            "vocab_size": VOCAB,
            "hidden_size": 16,
            "max_position_embeddings": 64,
            "norm": {"kind": "rms", "eps": 1e-5},
            "layer": [{"norm": "rms", "mix": "mixer"}, {"norm": "rms", "mix": "mlp"}],
            "pattern": ", ".join(words),
            "blocks": {
                **{
                    word: {"kind": "attention", **options, **attention, "sliding_window": window}
                    for word, window in words.items()
                },
                "mlp": {"kind": "mlp", "intermediate_size": 20, "hidden_act": "silu", "gated": True},
            },
            "init": {
                "linear": {"distribution": "normal", "spread": 0.3},
                "embedding": {"distribution": "normal", "spread": 1.0},
            },
        }
    )


def model(windows: Sequence[int | None] = (None,), seed: int = 0, **attention: Any) -> Model:
    """The plan, built under a seed."""
    return composer.build(plan(windows, **attention), seed=seed)


def ids(rows: int, tokens: int, seed: int = 0) -> Tensor:
    """(rows, tokens) of random tokens."""
    return torch.randint(VOCAB, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def close(actual: Tensor, expected: Tensor, tolerance: float = 2e-5) -> bool:
    """Whether two results agree, relative to the largest value."""
    return bool((actual - expected).abs().max() <= tolerance * expected.abs().max().clamp_min(1e-30))
