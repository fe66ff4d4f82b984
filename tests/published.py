"""Random small configurations of every family that is read, as transformers itself writes them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

Config = dict[str, Any]
Draw = random.Random

ROPES: list[Config] = [
    {},
    {"rope_type": "linear", "factor": 2.0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
]  # fmt: skip


def rope(draw: Draw) -> Config:
    """Rotary positions of any type that needs no list."""
    return {**draw.choice(ROPES), "rope_theta": draw.choice([100.0, 10000.0])}


def base(draw: Draw, vocab: int = 31) -> Config:
    """What every configuration says."""
    return {
        "vocab_size": vocab, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": draw.choice([2, [2, 3]]),
        "pad_token_id": draw.choice([0, None]), "tie_word_embeddings": draw.random() < 0.5,
    }  # fmt: skip


def ministral(draw: Draw) -> Config:
    """Windows and full attention in any order."""
    heads, layers = draw.choice([(4, 2), (4, 4), (2, 1)]), draw.randint(1, 7)
    sliding = "sliding_attention"
    types = draw.choices(["full_attention", sliding], k=layers)
    return {
        **base(draw), "model_type": "ministral", "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": layers, "num_attention_heads": heads[0], "num_key_value_heads": heads[1],
        "head_dim": draw.choice([4, 8]),
        "sliding_window": draw.choice([1, 3, 5]) if sliding in types else 4096,
        "rope_parameters": rope(draw),
        "hidden_act": draw.choice(["silu", "gelu"]), "rms_norm_eps": draw.choice([1e-5, 1e-6]),
        "initializer_range": draw.choice([0.02, 0.1]), "attention_dropout": draw.choice([0.0, 0.1]),
        "layer_types": types,
    }  # fmt: skip


def opt(draw: Draw) -> Config:
    """Norms on either side, projections, biases, dropouts."""
    before, width = draw.random() < 0.6, draw.choice([8, 16])
    return {
        **base(draw), "model_type": "opt", "hidden_size": width, "ffn_dim": draw.choice([12, 20]),
        "num_hidden_layers": draw.randint(1, 4), "num_attention_heads": draw.choice([1, 2, 4]),
        "do_layer_norm_before": before, "_remove_final_layer_norm": before and draw.random() < 0.3,
        "word_embed_proj_dim": draw.choice([width, width, 6, 24]), "dropout": draw.choice([0.1, 0.0]),
        "attention_dropout": draw.choice([0.0, 0.2]), "activation_function": draw.choice(["relu", "gelu"]),
        "layerdrop": draw.choice([0.0, 0.1]), "init_std": draw.choice([0.02, 0.05]),
        "enable_bias": draw.random() < 0.7, "layer_norm_elementwise_affine": draw.random() < 0.8,
    }  # fmt: skip


def zamba2(draw: Draw) -> Config:
    """Shared blocks at any layers, with adapters, rotation, groups, biases."""
    layers, adapters = draw.randint(1, 9), draw.random() < 0.4
    types = draw.choices(["linear_attention", "hybrid"], [2, 1], k=layers)
    rotation = draw.random() < 0.5 and "hybrid" in types
    adapters = adapters and "hybrid" in types
    uses, heads, mamba_heads = types.count("hybrid"), draw.choice([2, 4]), draw.choice([2, 4, 8])
    return {
        **base(draw), "model_type": "zamba2", "hidden_size": 16, "num_hidden_layers": layers,
        "layers_block_type": types, "mamba_d_state": draw.choice([4, 8]), "mamba_d_conv": draw.choice([2, 4]),
        "mamba_expand": draw.choice([1, 2]), "mamba_ngroups": draw.choice([1, 2]), "n_mamba_heads": mamba_heads,
        "add_bias_linear": draw.random() < 0.4, "intermediate_size": draw.choice([20, 64]),
        "num_attention_heads": heads, "num_key_value_heads": heads if adapters else draw.choice([1, heads]),
        "num_mem_blocks": max(1, min(uses, draw.choice([1, 2, 3]))), "adapter_rank": draw.choice([2, 3]),
        "use_shared_attention_adapter": adapters, "use_mem_rope": rotation,
        "rope_parameters": rope(draw), "hidden_act": draw.choice(["gelu", "silu"]), "time_step_min": 1e-30,
        "chunk_size": 4, "rms_norm_eps": draw.choice([1e-5, 1e-6]), "initializer_range": draw.choice([0.02, 0.1]),
        "attention_dropout": draw.choice([0.0, 0.1]),
        "tie_word_embeddings": True,  # without it transformers shares no block at all
    }  # fmt: skip


def llama(draw: Draw) -> Config:
    """Rotary positions of any type, biases."""
    heads = draw.choice([(4, 2), (4, 4), (2, 1)])
    return {
        **base(draw), "model_type": "llama", "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": draw.randint(1, 3), "num_attention_heads": heads[0], "num_key_value_heads": heads[1],
        "head_dim": draw.choice([4, 8]), "rope_parameters": rope(draw), "hidden_act": draw.choice(["silu", "gelu"]),
        "rms_norm_eps": draw.choice([1e-5, 1e-6]), "initializer_range": draw.choice([0.02, 0.1]),
        "attention_bias": draw.random() < 0.5, "mlp_bias": draw.random() < 0.5,
        "attention_dropout": draw.choice([0.0, 0.1]),
    }  # fmt: skip


def gemma2(draw: Draw) -> Config:
    """Soft caps or none, windows in turns or in any order."""
    layers, sliding = draw.randint(1, 5), "sliding_attention"
    types = draw.choice([None, draw.choices(["full_attention", sliding], k=layers)])
    return {
        **base(draw), "model_type": "gemma2", "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": draw.choice([1, 2, 4]),
        "head_dim": draw.choice([4, 8]), "rope_parameters": rope(draw), "layer_types": types,
        "hidden_activation": draw.choice(["gelu_pytorch_tanh", "silu"]), "attention_bias": draw.random() < 0.3,
        "sliding_window": draw.choice([1, 3]) if types is None or sliding in types else 4096,
        "query_pre_attn_scalar": draw.choice([1, 5, 16, 224]), "attn_logit_softcapping": draw.choice([None, 2.0, 50.0]),
        "final_logit_softcapping": draw.choice([None, 3.0]), "rms_norm_eps": draw.choice([1e-5, 1e-6]),
        "initializer_range": draw.choice([0.02, 0.1]), "attention_dropout": draw.choice([0.0, 0.1]),
    }  # fmt: skip


def gpt2(draw: Draw) -> Config:
    """Widths, activations, dropouts."""
    common = {key: value for key, value in base(draw).items() if key != "max_position_embeddings"}
    layers = draw.randint(1, 3)
    return {
        **common, "model_type": "gpt2", "n_positions": 64, "n_embd": 16, "n_layer": layers,
        "n_head": draw.choice([1, 2, 4]), "n_inner": draw.choice([20, 64]),
        "activation_function": draw.choice(["gelu_new", "relu"]), "resid_pdrop": draw.choice([0.0, 0.1]),
        "embd_pdrop": draw.choice([0.0, 0.2]), "attn_pdrop": draw.choice([0.0, 0.1]),
        "layer_norm_epsilon": draw.choice([1e-5, 1e-6]), "initializer_range": draw.choice([0.02, 0.1]),
        "scale_attn_weights": draw.random() < 0.8,
        "scale_attn_by_inverse_layer_idx": layers > 1 and draw.random() < 0.4,  # a lone layer divides by 1
    }  # fmt: skip


def mamba2(draw: Draw) -> Config:
    """Heads, groups, biases."""
    common = {key: value for key, value in base(draw).items() if key != "max_position_embeddings"}
    heads, expand, layers = draw.choice([2, 4, 8]), draw.choice([1, 2]), draw.randint(1, 4)
    return {
        **common, "model_type": "mamba2", "hidden_size": 16, "num_hidden_layers": layers,
        "num_heads": heads, "head_dim": 16 * expand // heads, "expand": expand, "state_size": draw.choice([4, 8]),
        "n_groups": draw.choice([1, 2]), "conv_kernel": draw.choice([2, 4]), "use_bias": draw.random() < 0.4,
        "use_conv_bias": draw.random() < 0.6, "layer_norm_epsilon": draw.choice([1e-5, 1e-6]), "chunk_size": 4,
        "initializer_range": draw.choice([0.02, 0.1]), "time_step_min": draw.choice([0.001, 0.01]),
    }  # fmt: skip


FAMILIES: dict[str, Callable[[Draw], Config]] = {
    each.__name__: each for each in (ministral, opt, zamba2, llama, gemma2, gpt2, mamba2)
}


def drawn(family: str, seed: int) -> Config:
    """A configuration of a family."""
    return FAMILIES[family](random.Random(f"{family} {seed}"))


def number(value: Any) -> Any:
    """A value of a file, where infinity is a mapping, as transformers takes it."""
    if isinstance(value, list):
        return [number(item) for item in value]
    return float("inf") if value == {"__float__": "Infinity"} else value


def theirs(config: Config) -> PreTrainedConfig:
    """The configuration as transformers understands it."""
    kept = {key: number(value) for key, value in config.items() if key != "model_type"}
    return AutoConfig.for_model(config["model_type"], **kept)


def written(config: Config) -> Config:
    """The configuration as transformers writes it, nothing left out."""
    found: Config = json.loads(theirs(config).to_json_string(use_diff=False))
    return found


def empty(config: Config) -> PreTrainedModel:
    """The model of transformers without numbers."""
    auto: Any = AutoModelForCausalLM
    with torch.device("meta"):
        made: PreTrainedModel = auto.from_config(theirs(config))
    return made


def model(config: Config, seed: int = 0, head: bool = True) -> PreTrainedModel:
    """A model of transformers with random numbers, none of them one that an initialisation gives."""
    torch.manual_seed(seed)
    auto: Any = AutoModelForCausalLM if head else AutoModel
    made: PreTrainedModel = auto.from_config(theirs(config), attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return made
