"""Blocks to hold to the contract: for every kind in the catalog the smallest and the oddest options."""

from __future__ import annotations

from typing import Any

from composer import Block, catalog

HEADS: dict[str, Any] = {"num_attention_heads": 4}
ODD: dict[str, Any] = {"num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10, "bias": True}
LONG = {"original_max_position_embeddings": 128}
PAIRS = {"short_factor": [1.0, 1.5, 2.0, 3.0], "long_factor": [2.0, 4.0, 5.0, 9.0]}

ROPES: dict[str, dict[str, Any]] = {
    "default": {},
    "slow": {"theta": 1e6},
    "quarter": {"partial_rotary_factor": 0.25},
    "linear": {"type": "linear", "factor": 4.0},
    "dynamic": {"type": "dynamic", "factor": 2.0},
    "yarn": {"type": "yarn", "factor": 8.0, **LONG},
    "longrope": {"type": "longrope", **PAIRS, **LONG},
    "llama3": {"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, **LONG},
    "proportional": {"type": "proportional", "partial_rotary_factor": 0.5},
}

ATTENTION: dict[str, dict[str, Any]] = {
    "one-head": {"num_attention_heads": 1},
    "mha": HEADS,
    "gqa": {**HEADS, "num_key_value_heads": 2},
    "mqa": {**HEADS, "num_key_value_heads": 1},
    "odd-heads": ODD,
    "odd-heads-window": {**ODD, "sliding_window": 5},
    "narrow-head": {**HEADS, "head_dim": 1},
    "wide-head": {**HEADS, "head_dim": 20, "rope": {}},
    "biases": {**HEADS, "bias": True, "out_bias": True, "rope": {}},
    "out-bias": {**HEADS, "out_bias": True},
    "scale": {**HEADS, "scale": 0.7, "rope": {}},
    "softcap": {**HEADS, "num_key_value_heads": 2, "softcap": 1.5},
    "softcap-window": {**HEADS, "softcap": 0.7, "sliding_window": 5, "rope": {}},
    "dropout": {**HEADS, "attention_dropout": 0.5},
    "dropout-window": {**HEADS, "attention_dropout": 0.3, "sliding_window": 4, "rope": {}},
    **{f"window-{window}": {**HEADS, "sliding_window": window} for window in (1, 2, 5)},
    **{
        f"window-{window}-gqa-rope": {**HEADS, "num_key_value_heads": 2, "sliding_window": window, "rope": {}}
        for window in (1, 2, 5, 30)
    },
    **{f"rope-{name}": {**HEADS, "rope": rope} for name, rope in ROPES.items()},
    **{
        f"rope-{name}-window": {**HEADS, "num_key_value_heads": 1, "sliding_window": 3, "rope": ROPES[name]}
        for name in ("yarn", "quarter")
    },
}

MLP: dict[str, dict[str, Any]] = {
    "smallest": {"intermediate_size": 1, "hidden_act": "relu"},
    "plain": {"intermediate_size": 48, "hidden_act": "gelu"},
    "gated": {"intermediate_size": 40, "hidden_act": "silu", "gated": True},
    "bias": {"intermediate_size": 7, "hidden_act": "relu2", "bias": True},
    "gated-bias": {"intermediate_size": 33, "hidden_act": "gelu_pytorch_tanh", "gated": True, "bias": True},
    "linear": {"intermediate_size": 5, "hidden_act": "linear"},
}

STATES: dict[str, Any] = {"num_heads": 4, "head_dim": 8, "state_size": 6}

MAMBA2: dict[str, dict[str, Any]] = {
    "smallest": {"num_heads": 1, "head_dim": 1, "state_size": 1, "conv_kernel": 2},
    "plain": STATES,
    "groups": {**STATES, "num_groups": 2},
    "group-a-head": {**STATES, "num_groups": 4, "conv_kernel": 3},
    "odd": {"num_heads": 6, "head_dim": 5, "state_size": 7, "num_groups": 3, "conv_kernel": 9},
    "biases": {**STATES, "bias": True},
    "no-conv-bias": {**STATES, "conv_bias": False, "hidden_act": "gelu"},
    "bounds": {**STATES, "dt_min": 0.3, "dt_max": 1.0, "norm_eps": 1e-3},
}

SAMPLES: dict[str, dict[str, dict[str, Any]]] = {"attention": ATTENTION, "mamba2": MAMBA2, "mlp": MLP}


def sample(kind: str, name: str) -> Block:
    """The block of the catalog with the options of one sample."""
    return catalog()[kind].model_validate(SAMPLES[kind][name])
