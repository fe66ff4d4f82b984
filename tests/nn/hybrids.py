"""Random small models that mix every kind of memory: full, windowed and recurrent layers, guests, shared weights."""

from __future__ import annotations

from random import Random
from typing import Any

import composer
from composer.nn import Model

from .fading import catalog
from .models import VOCAB

WINDOWS = (None, 1, 2, 3, 4, 7, 30)
MAMBA = ["conv", "dt_bias", "A_log", "D"]
NORM = {"kind": "rms", "eps": 1e-5}


def attention(draw: Random, **more: Any) -> dict[str, Any]:
    """Attention with any window."""
    return {
        "kind": "attention",
        "num_attention_heads": 4,
        "num_key_value_heads": draw.choice([1, 2, 4]),
        "head_dim": 6,
        "rope": draw.choice([None, {"theta": 1e4}]),
        "sliding_window": draw.choice(WINDOWS),
        **more,
    }


def recurrent(draw: Random) -> dict[str, Any]:
    """A block of this library, or one that the host has never heard of."""
    if draw.random() < 0.4:
        return {"kind": "fading", "width": draw.choice([1, 5])}
    groups = draw.choice([1, 2])
    return {
        "kind": "mamba2",
        "num_heads": 2 * groups,
        "head_dim": 3,
        "state_size": draw.choice([1, 4]),
        "num_groups": groups,
        "conv_kernel": draw.choice([2, 4]),
    }


def shared(draw: Random) -> dict[str, Any]:
    """A chain of several blocks that reads stream and embedding, with weights that its uses share."""
    second = draw.choice(["mlp", "state"])
    adapted = draw.choice(["attn.qkv", "attn.qkv.v", {"mlp": "mlp.gate_up", "state": "state.in"}[second]])
    return {
        "reads": ["stream", "embedding"],
        "out": "linear",
        "share": {"copies": draw.choice([1, 2])},
        "adapters": {adapted: {"rank": 2}},
        "branches": [
            {"norm": NORM, "mix": "attn", "residual": 0},
            {"norm": NORM, "mix": second, "residual": 0},
        ],
    }


def hybrid(seed: int, layers: int | None = None) -> Model:
    """A model of one to four layers, built under its seed."""
    draw = Random(seed)
    blocks: dict[str, Any] = {
        "a": attention(draw),
        "b": attention(draw),
        "r": recurrent(draw),
        "s": recurrent(draw),
        "attn": attention(draw),
        "state": recurrent(draw),
        "mlp": {"kind": "mlp", "intermediate_size": 12, "hidden_act": "silu", "gated": True},
        "both": shared(draw),
    }
    words = [word(draw) for _ in range(layers or draw.randint(1, 4))]
    used = {blocks[name].get("kind") for each in words for name in each.split("+")}
    if any("both" in each for each in words):
        used |= {blocks[branch["mix"]]["kind"] for branch in blocks["both"]["branches"]}
    kinds = ["linear", "adapter_down", "adapter_up"] + (MAMBA if "mamba2" in used else [])
    spec = {
        "composer": 1,
        "name": "hybrid",
        "vocab_size": VOCAB,
        "hidden_size": 16,
        "max_position_embeddings": 64,
        "norm": NORM,
        "pattern": ", ".join(words),
        "blocks": blocks,
        "init": {
            **{kind: {"distribution": "normal", "spread": 0.3} for kind in kinds},
            "embedding": {"distribution": "normal", "spread": 1.0},
        },
    }
    plan = composer.resolve(composer.Spec.model_validate(spec), catalog())
    return composer.build(plan, seed=seed)


def word(draw: Random) -> str:
    """A layer, with up to two guests."""
    guests = draw.sample(["both", "b", "s"], k=draw.choice([0, 0, 0, 1, 1, 2]))
    host = draw.choice(["a", "a", "r", "r", "s", "b"])
    return "+".join([host, *(guest for guest in guests if guest != host)])
