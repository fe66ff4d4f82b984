"""Configurations as they lie beside published weights, old keys and all, are the specs that are shipped."""

from __future__ import annotations

from typing import Any

import pytest

import composer
from composer.errors import SpecError, WeightsError
from composer.layout.importing import import_config, read_config
from composer.layout.view import flat, view

MINISTRAL: dict[str, Any] = {
    "architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
    "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
    "intermediate_size": 12288, "max_position_embeddings": 32768, "model_type": "mistral",
    "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
    "rope_theta": 100000000.0, "sliding_window": 32768, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    "transformers_version": "4.46.0.dev0", "use_cache": True, "vocab_size": 131072,
    "layer_types": (["full_attention"] + ["sliding_attention"] * 3) * 9,
}  # fmt: skip


def zamba2(layers: int, hybrid: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """A file of transformers 4.48, which wrote down everything that it computes."""
    width = more["hidden_size"]
    return {
        "adapter_rank": 128, "add_bias_linear": False, "architectures": ["Zamba2ForCausalLM"],
        "attention_dropout": 0.0, "attention_head_dim": 2 * width // 32, "attention_hidden_size": 2 * width,
        "bos_token_id": 1, "chunk_size": 256, "eos_token_id": 2, "ffn_hidden_size": 4 * width, "hidden_act": "gelu",
        "hybrid_layer_ids": [*hybrid],
        "initializer_range": 0.02, "intermediate_size": 4 * width, "kv_channels": width // 32,
        "layers_block_type": ["hybrid" if i in hybrid else "mamba" for i in range(layers)], "mamba_d_conv": 4,
        "mamba_d_state": 64, "mamba_expand": 2, "mamba_headdim": 64, "mamba_ngroups": 1,
        "max_position_embeddings": 4096, "model_type": "zamba2", "n_mamba_heads": width // 32,
        "num_attention_heads": 32, "num_hidden_layers": layers, "num_key_value_heads": 32, "num_logits_to_keep": 1,
        "num_mem_blocks": 2,
        "num_query_groups": 32, "pad_token_id": 0, "rms_norm_eps": 1e-05, "rope_theta": 10000,
        "time_step_floor": 0.0001, "time_step_limit": None, "time_step_max": 0.1, "time_step_min": 0.001,
        "torch_dtype": "bfloat16", "transformers_version": "4.49.0.dev0", "use_cache": True, "use_conv_bias": True,
        "use_long_context": False, "use_mamba_kernels": True, "use_mem_eff_path": False, "use_mem_rope": False,
        "use_shared_attention_adapter": False, "vocab_size": 32000, **more,
    }  # fmt: skip


def authors(layers: int, hybrid: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """A file that the authors of the same models wrote before; a key that is `...` was not there yet."""
    width = more["hidden_size"]
    found = {
        "add_bias_linear": False, "architectures": ["Zamba2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1,
        "conv_dimension": 4, "eos_token_id": 2, "expansion_factor": 2, "ffn_hidden_size": 4 * width, "ft_lora": False,
        "gated_linear_unit": True, "initializer_range": 0.02, "kv_channels": width // 32,
        "layers_block_type": ["g" if i in hybrid else "m" for i in range(layers)], "lora_rank": 128,
        "mamba_headdim": 64, "max_position_embeddings": 4096, "model_type": "zamba2", "num_attention_heads": 32,
        "num_hidden_layers": layers, "num_key_value_heads": 32, "num_logits_to_keep": 1, "num_mem_blocks": 2,
        "num_query_groups": 32, "pad_token_id": 0, "rms_norm_eps": 1e-05, "rope_theta": 10000, "sliding_window": None,
        "state_size": 64, "torch_dtype": "bfloat16", "transformers_version": "4.43.0.dev0", "use_cache": True,
        "use_mamba_kernels": True, "use_mem_rope": False, "use_shared_attention_lora": False,
        "use_shared_block_lora": True, "vocab_size": 32000, **more,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not ...}


def opt(**more: Any) -> dict[str, Any]:
    """A file of transformers 4.21."""
    return {
        "_name_or_path": "facebook/opt", "activation_dropout": 0.0, "activation_function": "relu",
        "architectures": ["OPTForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 2,
        "do_layer_norm_before": True, "dropout": 0.1, "eos_token_id": 2, "init_std": 0.02, "layerdrop": 0.0,
        "max_position_embeddings": 2048, "model_type": "opt", "pad_token_id": 1, "prefix": "</s>",
        "torch_dtype": "float16", "transformers_version": "4.21.0.dev0", "use_cache": True, "vocab_size": 50272,
        **more,
    }  # fmt: skip


GPT2: dict[str, Any] = {
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
    "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
    "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": None, "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": 50257,
}  # fmt: skip

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
    "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": False,
    "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": True,
    "rope_scaling": {
        "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3",
    },
    "torch_dtype": "bfloat16", "transformers_version": "4.45.0.dev0", "use_cache": True, "vocab_size": 128256,
}  # fmt: skip

GEMMA2: dict[str, Any] = {
    "architectures": ["Gemma2ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "attn_logit_softcapping": 50.0, "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1,
    "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304, "initializer_range": 0.02,
    "intermediate_size": 9216, "max_position_embeddings": 8192, "model_type": "gemma2", "num_attention_heads": 8,
    "num_hidden_layers": 26, "num_key_value_heads": 4, "pad_token_id": 0, "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096, "torch_dtype": "float32",
    "transformers_version": "4.42.4", "use_cache": True, "vocab_size": 256000,
}  # fmt: skip

MAMBA2: dict[str, Any] = {
    "architectures": ["Mamba2ForCausalLM"], "bos_token_id": 0, "chunk_size": 256, "conv_kernel": 4, "eos_token_id": 0,
    "expand": 2, "head_dim": 64, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.1,
    "intermediate_size": 8192, "layer_norm_epsilon": 1e-05, "model_type": "mamba2", "n_groups": 8,
    "norm_before_gate": True, "num_heads": 128, "num_hidden_layers": 64, "pad_token_id": 0,
    "rescale_prenorm_residual": False, "residual_in_fp32": True, "rms_norm": True, "state_size": 128,
    "tie_word_embeddings": False, "time_step_floor": 0.0001, "time_step_init_scheme": "random",
    "time_step_limit": [0.0, {"__float__": "Infinity"}], "time_step_max": 0.1, "time_step_min": 0.001,
    "time_step_rank": 256, "torch_dtype": "bfloat16", "transformers_version": "4.44.0.dev0", "use_bias": False,
    "use_cache": True, "use_conv_bias": True, "vocab_size": 32768,
}  # fmt: skip

SMALL, MIDDLE = (5, 11, 17, 23, 29, 35), (6, 12, 18, 24, 30, 36, 42, 47, 51)
LARGE = (6, 11, 17, 23, 29, 35, 41, 47, 53, 59, 65, 71, 77)
FILES = {
    "ministral-8b-instruct-2410": MINISTRAL,
    "zamba2-1.2b": zamba2(
        38, SMALL, hidden_size=2048, mamba_d_state=128, num_mem_blocks=1, use_mem_rope=True,
        use_shared_attention_adapter=True,
    ),
    "zamba2-2.7b": zamba2(54, MIDDLE, hidden_size=2560),
    "zamba2-7b": zamba2(81, LARGE, hidden_size=3584, mamba_ngroups=2, use_mem_rope=True),
    "opt-125m": opt(
        ffn_dim=3072, hidden_size=768, num_attention_heads=12, num_hidden_layers=12, word_embed_proj_dim=768,
    ),
    "opt-350m": opt(
        ffn_dim=4096, hidden_size=1024, num_attention_heads=16, num_hidden_layers=24, word_embed_proj_dim=512,
        do_layer_norm_before=False,
    ),
    "opt-iml-1.3b": {key: value for key, value in opt(
        ffn_dim=8192, hidden_size=2048, num_attention_heads=32, num_hidden_layers=24, word_embed_proj_dim=2048,
        _remove_final_layer_norm=False,
    ).items() if key not in ("_name_or_path", "activation_dropout", "prefix")},
    "opt-66b": opt(
        ffn_dim=36864, hidden_size=9216, num_attention_heads=72, num_hidden_layers=64, word_embed_proj_dim=9216,
    ),
    "gpt2": GPT2,
    "llama-3.2-1b": LLAMA,
    "gemma-2-2b": GEMMA2,
}  # fmt: skip
AUTHORS = [
    ("zamba2-1.2b", authors(
        38, SMALL, hidden_size=2048, state_size=128, num_mem_blocks=1, use_mem_rope=True,
        use_shared_attention_lora=True,
    )),
    # As first published, by a program that knew no other model.
    ("zamba2-2.7b", authors(
        54, MIDDLE, hidden_size=2560, num_mem_blocks=..., rope_theta=..., use_mem_rope=...,
        use_shared_attention_lora=..., max_position_embeddings=..., ft_lora=..., bias_gelu_fusion=False,
        use_low_rank_mamba_proj=False,
    )),
    ("zamba2-2.7b-instruct", authors(
        54, MIDDLE, hidden_size=2560, lora_rank_mamba=128, se_shared_attention_lora=False, torch_dtype="float32",
        use_cache=False, _name_or_path="Zyphra/Zamba2-2.7B-instruct", ft_lora=..., use_shared_attention_lora=...,
    )),
    ("zamba2-7b-instruct", authors(81, LARGE, hidden_size=3584, mamba_ngroups=2, use_mem_rope=True)),
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_the_shipped_spec(name: str) -> None:
    """The file beside the weights and the spec by name are one plan."""
    shipped = composer.resolve(composer.read_spec(name))

    assert dict(flat(view(shipped))) == dict(flat(view(composer.resolve(import_config(FILES[name], name)))))


@pytest.mark.parametrize(("name", "file"), AUTHORS)
def test_a_file_of_the_authors_is_the_shipped_spec(name: str, file: dict[str, Any]) -> None:
    """What was published before transformers had the model is the same plan."""
    shipped, plan = composer.resolve(composer.read_spec(name)), composer.resolve(import_config(file, name))

    assert dict(flat(view(shipped))) == dict(flat(view(plan)))
    assert shipped.spec.weights == plan.spec.weights


def test_a_mamba2_of_the_4x_era_is_read() -> None:
    """Keys that transformers wrote then and never read change nothing; the gate comes first whatever they say."""
    plan = composer.resolve(import_config(MAMBA2, "x"))

    assert 7_285_403_648 == plan.parameter_count


@pytest.mark.parametrize("most", ["Infinity", '{"__float__": "Infinity"}', "1e3"])
def test_infinity_in_either_era(most: str) -> None:
    """Once it was a bare word, which is not JSON, today it is a mapping; a number is a bound."""
    text = f'{{"model_type": "mamba2", "time_step_limit": [0.0, {most}]}}'
    spec = import_config(read_config(text.encode(), "config.json"), "x")

    assert (1000.0 if most == "1e3" else None) == spec.blocks["mamba"].options["dt_max"]


@pytest.mark.parametrize("text", ['{"model_type": "mamba2", "expand": Infinity}', '{"rope_theta": NaN}'])
def test_infinity_elsewhere(text: str) -> None:
    """What is no number of a model is refused as before."""
    with pytest.raises((WeightsError, SpecError)):
        import_config(read_config(text.encode(), "config.json"), "x")
