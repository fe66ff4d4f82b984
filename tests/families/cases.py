"""Random configurations of every family, and the folders that the reference library writes for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

Config = dict[str, Any]
Draw = random.Random
GROUPS = [(1, 1), (2, 1), (2, 2), (3, 1), (4, 2), (4, 4), (6, 3), (8, 2)]
ACTIVATIONS = ["silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "relu2", "quick_gelu", "tanh"]
# Small enough never to matter, large enough for the reference: 0 stops it, and its own value makes its steps
# differ from its scan.
NEVER = 1e-30
HEADS = {
    "causal-lm": "AutoModelForCausalLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
}


@dataclass(frozen=True)
class Case:
    """One configuration of a family and the length of its prompts."""

    family: str
    number: int
    prompt: int
    config: Config

    def __str__(self) -> str:
        return f"{self.family}-{self.number}"


def case(family: str, number: int) -> Case:
    """Case `number` of an endless, seeded list."""
    draw = Draw(f"{family} {number}")
    prompt = draw.randint(9, 40)
    config = {
        "vocab_size": draw.choice([33, 97, 251, 500]),
        "n_layer" if family == "gpt2" else "num_hidden_layers": draw.randint(1, 5),
        "tie_word_embeddings": draw.random() < 0.5,
        "init_std" if family == "opt" else "initializer_range": draw.choice([0.02, 0.01]),
        "use_cache": draw.random() < 0.5,
        "pad_token_id": draw.choice([0, 1, 5]),
        "bos_token_id": 1,
        "eos_token_id": draw.choice([2, [2, 7]]),
    }
    return Case(family, number, prompt, {**config, **FAMILIES[family](draw, prompt)})


def attention(draw: Draw, most: int = 4096) -> Config:
    """Grouped heads whose width need not divide the stream's."""
    heads, groups = draw.choice(GROUPS)
    head_dim = draw.choice([4, 6, 8, 16])
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "head_dim": head_dim,
        "hidden_size": draw.choice([16, 20, 32, heads * head_dim]),
        "intermediate_size": draw.choice([8, 31, 48]),
        "max_position_embeddings": draw.choice([64, most]),
        "attention_dropout": draw.choice([0.0, 0.1]),
        "rms_norm_eps": draw.choice([1e-5, 1e-6, 1e-4]),
    }


def rope(draw: Draw) -> Config:
    """Plain rotary positions of some base."""
    return {"rope_type": "default", "rope_theta": draw.choice([10000.0, 1e6, 500.0])}


def window(draw: Draw, prompt: int) -> int:
    return draw.choice([2, 3, 5, 8, prompt - 1, prompt, prompt + 1, 4096])


def mistral(draw: Draw, prompt: int) -> Config:
    return {
        **attention(draw),
        "hidden_act": draw.choice(ACTIVATIONS),
        "rope_parameters": rope(draw),
        "sliding_window": draw.choice([None, window(draw, prompt)]),
    }


def ministral(draw: Draw, prompt: int) -> Config:
    layers = draw.randint(1, 6)
    kinds = ["full_attention", "sliding_attention"]
    return {
        **attention(draw),
        "num_hidden_layers": layers,
        "hidden_act": draw.choice(ACTIVATIONS),
        "rope_parameters": rope(draw),
        "sliding_window": window(draw, prompt),
        "layer_types": [draw.choice(kinds) for _ in range(layers)],
    }


def zamba2(draw: Draw, prompt: int) -> Config:
    layers = draw.randint(2, 7)
    kinds = [draw.choice(["mamba", "hybrid"]) for _ in range(layers)]
    kinds[draw.randrange(layers)] = "hybrid"  # without one the reference cannot count its cache
    heads, groups = draw.choice([(1, 1), (2, 1), (2, 2), (4, 2), (4, 4)])
    adapters = heads == groups and draw.random() < 0.5  # its adapters are as wide as the queries
    ngroups = draw.choice([1, 1, 2, 4])
    hidden = draw.choice([16, 32])
    return {
        "num_hidden_layers": layers,
        "layers_block_type": kinds,
        "hidden_size": hidden,
        "mamba_d_state": draw.choice([3, 8, 16]),
        "mamba_d_conv": draw.choice([2, 3, 4]),
        "mamba_expand": draw.choice([1, 2]),
        "mamba_ngroups": ngroups,
        "n_mamba_heads": draw.choice([4, 8]),
        "chunk_size": draw.choice([4, 8, 16, 256]),
        "add_bias_linear": draw.random() < 0.3,
        "intermediate_size": draw.choice([8, 31, 48]),
        "hidden_act": draw.choice(["gelu", "silu", "relu"]),
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "attention_dropout": draw.choice([0.0, 0.1]),
        "num_mem_blocks": draw.choice([1, 1, 2, 3]),
        "use_shared_attention_adapter": adapters,
        "adapter_rank": draw.choice([1, 4, 7]),
        "use_mem_rope": draw.random() < 0.5,
        "rope_parameters": rope(draw),
        "rms_norm_eps": draw.choice([1e-5, 1e-6]),
        "max_position_embeddings": 4096,
        "time_step_min": NEVER,
        "time_step_floor": NEVER,
    }


def opt(draw: Draw, prompt: int) -> Config:
    heads = draw.choice([1, 2, 4])
    hidden = heads * draw.choice([4, 6, 8])
    return {
        "hidden_size": hidden,
        "ffn_dim": draw.choice([8, 31, 48]),
        "max_position_embeddings": draw.choice([prompt, 64, 2048]),
        "do_layer_norm_before": draw.random() < 0.6,
        "_remove_final_layer_norm": draw.random() < 0.3,
        "word_embed_proj_dim": draw.choice([hidden, hidden, 10]),
        "dropout": draw.choice([0.0, 0.1]),
        "attention_dropout": draw.choice([0.0, 0.1]),
        "num_attention_heads": heads,
        "activation_function": draw.choice(["relu", "gelu", "gelu_new"]),
        "layerdrop": draw.choice([0.0, 0.2]),
        "enable_bias": draw.random() < 0.7,
        "layer_norm_elementwise_affine": draw.random() < 0.7,
    }


def llama(draw: Draw, prompt: int) -> Config:
    scaled = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": draw.choice([8.0, 32.0]),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": draw.choice([16, 64]),
    }
    heads = attention(draw)
    return {
        **heads,
        "hidden_size": heads["num_attention_heads"] * draw.choice([4, 8]),
        "hidden_act": draw.choice(ACTIVATIONS),
        "rope_parameters": draw.choice([scaled, rope(draw)]),
        "attention_bias": draw.random() < 0.3,
        "mlp_bias": draw.random() < 0.3,
    }


def gemma2(draw: Draw, prompt: int) -> Config:
    layers, heads = draw.randint(1, 5), attention(draw)
    kinds = ["full_attention", "sliding_attention"]
    return {
        **heads,
        "hidden_size": heads["num_attention_heads"] * draw.choice([4, 8]),
        "num_hidden_layers": layers,
        "tie_word_embeddings": True,
        "hidden_activation": draw.choice(["gelu_pytorch_tanh", "gelu", "silu"]),
        "rope_parameters": rope(draw),
        "sliding_window": window(draw, prompt),
        "layer_types": draw.choice([None, [draw.choice(kinds) for _ in range(layers)]]),
        "query_pre_attn_scalar": draw.choice([16, 5, 256]),
        "attn_logit_softcapping": draw.choice([None, 2.0, 50.0]),
        "final_logit_softcapping": draw.choice([None, 1.5, 30.0]),
    }


def gpt2(draw: Draw, prompt: int) -> Config:
    heads = draw.choice([1, 2, 4])
    hidden = heads * draw.choice([4, 6, 8])
    return {
        "n_embd": hidden,
        "n_head": heads,
        "n_inner": draw.choice([None, 31]),
        "n_positions": draw.choice([prompt, 64, 1024]),
        "activation_function": draw.choice(["gelu_new", "relu", "gelu"]),
        "resid_pdrop": draw.choice([0.0, 0.1]),
        "embd_pdrop": draw.choice([0.0, 0.1]),
        "attn_pdrop": draw.choice([0.0, 0.1]),
        "layer_norm_epsilon": draw.choice([1e-5, 1e-6]),
        "scale_attn_weights": draw.random() < 0.8,
        "scale_attn_by_inverse_layer_idx": draw.random() < 0.4,
    }


def mamba2(draw: Draw, prompt: int) -> Config:
    heads, head_dim = draw.choice([(4, 8), (8, 4), (2, 16)])
    hidden = heads * head_dim // 2
    return {
        "hidden_size": hidden,
        "expand": 2,
        "num_heads": heads,
        "head_dim": head_dim,
        "state_size": draw.choice([3, 8, 16]),
        "conv_kernel": draw.choice([2, 3, 4]),
        "n_groups": draw.choice([1, 2]),
        "use_bias": draw.random() < 0.3,
        "use_conv_bias": draw.random() < 0.7,
        "hidden_act": "silu",
        "chunk_size": draw.choice([4, 8, 256]),
        "layer_norm_epsilon": draw.choice([1e-5, 1e-6]),
        "residual_in_fp32": draw.random() < 0.5,
        "time_step_limit": (0.0, float("inf")),
    }


FAMILIES: dict[str, Callable[[Draw, int], Config]] = {
    "mistral": mistral,
    "ministral": ministral,
    "zamba2": zamba2,
    "opt": opt,
    "llama": llama,
    "gemma2": gemma2,
    "gpt2": gpt2,
    "mamba2": mamba2,
}


def reference_class(family: str, head: str) -> Any:
    """The class of the reference library, or None where it has no such head."""
    auto = getattr(transformers, HEADS[head])
    config = type(transformers.AutoConfig.for_model(family))
    return auto._model_mapping.get(config, None)


def write(case: Case, head: str, folder: Path, labels: int = 3) -> None:
    """Save the case's model as the reference does, with weights four times larger than it draws them."""
    extra = {} if head in ("causal-lm", "question-answering") else {"num_labels": labels}
    config = transformers.AutoConfig.for_model(case.family, **case.config, **extra)
    model = reference_class(case.family, head)(config)
    generator = torch.Generator().manual_seed(case.number)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            drawn(name, tensor, case.family, generator)
        for copies in shared(case, model):
            for tensor in copies[1:]:
                tensor.copy_(copies[0])
    model.save_pretrained(folder)


def shared(case: Case, model: Any) -> list[list[torch.Tensor]]:
    """Parameters that should be one and are several: the reference shares nothing when the head is not tied."""
    hybrids = [i for i, kind in enumerate(case.config.get("layers_block_type", ())) if kind == "hybrid"]
    groups: dict[tuple[int, str], list[torch.Tensor]] = {}
    for name, tensor in model.named_parameters():
        layer, _, rest = name.partition(".shared_transformer.")
        if rest:
            use = hybrids.index(int(layer.rpartition(".")[2]))
            groups.setdefault((use % case.config["num_mem_blocks"], rest), []).append(tensor)
    return list(groups.values())


def drawn(name: str, tensor: torch.Tensor, family: str, generator: torch.Generator) -> None:
    """Values at which every tensor shows in the logits."""
    if name.endswith("A_log"):
        tensor.uniform_(-1.0, 2.0, generator=generator)
    elif name.endswith("dt_bias"):
        tensor.uniform_(-4.0, 1.0, generator=generator)
    elif name.endswith("bias"):
        tensor.uniform_(-0.3, 0.3, generator=generator)
    elif "conv1d.weight" in name:
        tensor.normal_(0, 0.5, generator=generator)
    elif tensor.dim() > 1:
        # Narrow models need wider weights, or nothing but the residual stream would reach the logits.
        tensor.normal_(0, max(0.08, 0.8 * tensor.shape[-1] ** -0.5), generator=generator)
    elif family == "gemma2":
        tensor.uniform_(-0.5, 0.5, generator=generator)
    else:
        tensor.uniform_(0.5, 1.5, generator=generator)
