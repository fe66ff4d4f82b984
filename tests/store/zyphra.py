"""Models of transformers with shared blocks, written as their authors did: other keys, other names of tensors."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from ..published import model as made
from ..published import zamba2

Config = dict[str, Any]
FIRST = "in_proj.0"
"""What the files of the first months call `in_proj`."""


def usual(seed: int, **more: Any) -> Config:
    """A configuration of transformers that the authors' files can say."""
    draw = random.Random(seed)
    one = {"hidden_act": "gelu", "intermediate_size": 64, "time_step_min": 0.001}
    return {**zamba2(draw), **one, "rope_parameters": {"rope_theta": draw.choice([100.0, 10000.0])}, **more}


def authors(config: Config) -> Config:
    """The same configuration as the authors write it, with keys that change nothing."""
    kept = (
        "model_type", "vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id",
        "tie_word_embeddings", "hidden_size", "num_hidden_layers", "mamba_ngroups", "add_bias_linear",
        "num_attention_heads", "num_key_value_heads", "num_mem_blocks", "use_mem_rope", "rms_norm_eps",
        "initializer_range", "attention_dropout",
    )  # fmt: skip
    width = config["mamba_expand"] * config["hidden_size"]
    return {
        **{key: config[key] for key in kept}, "architectures": ["Zamba2ForCausalLM"],
        "state_size": config["mamba_d_state"], "conv_dimension": config["mamba_d_conv"],
        "expansion_factor": config["mamba_expand"], "mamba_headdim": width // config["n_mamba_heads"],
        "ffn_hidden_size": config["intermediate_size"], "lora_rank": config["adapter_rank"],
        "layers_block_type": ["g" if x == "hybrid" else "m" for x in config["layers_block_type"]],
        "rope_theta": config["rope_parameters"]["rope_theta"], "use_shared_block_lora": True,
        "use_shared_attention_lora": config["use_shared_attention_adapter"], "ft_lora": False,
        "gated_linear_unit": True, "kv_channels": 7, "num_query_groups": 9, "sliding_window": None,
        "use_mamba_kernels": True, "torch_dtype": "float32", "transformers_version": "4.43.0.dev0",
    }  # fmt: skip


def tensors(model: PreTrainedModel, config: Config) -> dict[str, Tensor]:
    """The weights of a model of transformers by the authors' names."""
    state, found = model.state_dict(), {}
    hybrid = [i for i, kind in enumerate(config["layers_block_type"]) if kind == "hybrid"]
    for old in ("embed_tokens.weight", "final_layernorm.weight"):
        found[f"model.{old}"] = state[f"model.{old}"]
    for i in range(config["num_hidden_layers"]):
        inside = f"model.layers.{i}." + ("mamba_decoder." if i in hybrid else "")
        found |= moved(state, inside, f"model.mamba_layers.{i}.", ("input_layernorm", "mamba"))
    for use, i in enumerate(hybrid):
        found[f"model.linear_layers.{use}.weight"] = state[f"model.layers.{i}.linear.weight"]
        found |= dict(block(state, f"model.layers.{i}.shared_transformer.", use % config["num_mem_blocks"]))
    return {name: tensor.clone() for name, tensor in found.items()}


def moved(state: dict[str, Tensor], old: str, new: str, first: tuple[str, ...]) -> dict[str, Tensor]:
    """What stands behind one prefix, behind another."""
    names = [name for name in state if name.startswith(old) and name.removeprefix(old).split(".")[0] in first]
    return {new + name.removeprefix(old): state[name] for name in names}


def block(state: dict[str, Tensor], old: str, number: int) -> Iterator[tuple[str, Tensor]]:
    """One shared block, its adapters as two lists in place of a list of pairs."""
    for name in (name.removeprefix(old) for name in state if name.startswith(old)):
        part = re.sub(r"_adapter_list\.(\d+)\.([01])\.", _lists, name.replace("gate_up_proj", "linear_fc1"))
        yield f"model.blocks.{number}.{part.replace('down_proj', 'linear_fc2')}", state[old + name]


def _lists(found: re.Match[str]) -> str:
    use, at = found.groups()
    return f"_lora_{'AB'[int(at)]}_list.{use}."


def surplus(found: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The adapters of every block for the uses that take another, which the authors' files have."""
    uses, blocks = config["layers_block_type"].count("hybrid"), config["num_mem_blocks"]
    pattern = re.compile(r"model\.blocks\.(\d+)\.(.*_lora_._list)\.\d+\.weight")
    every = {(match[1], match[2]): found[name] for name in found if (match := pattern.fullmatch(name))}
    return {
        f"model.blocks.{number}.{part}.{use}.weight": torch.full_like(tensor, torch.e)
        for (number, part), tensor in every.items()
        for use in range(uses)
        if use % blocks != int(number)
    }


def write(folder: Path, config: Config, seed: int, **changes: Any) -> dict[str, Tensor]:
    """A folder of the authors; what is stored in it and used.  A key that is `...` is left out."""
    found = tensors(made(config, seed), config)
    folder.mkdir(exist_ok=True)
    save_file({**found, **surplus(found, config)}, folder / "model.safetensors")
    said = {key: value for key, value in {**authors(config), **changes}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(said))
    return found
