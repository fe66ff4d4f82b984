"""Small models of transformers with random numbers, and ours made of the files that they write."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

import composer
from composer import Spec
from composer.layout.importing import import_config
from composer.nn import Model

VOCAB = 37
# Rounding stays below the one, every fault is above the other; in units of the largest logit.
RIGHT, WRONG = 1e-5, 3e-3
SIZES: dict[str, dict[str, Any]] = {
    "mistral": {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "sliding_window": None, "max_position_embeddings": 64,
        "pad_token_id": 0,
    },
    "zamba2": {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
        "layers_block_type": ["linear_attention", "hybrid", "hybrid"], "mamba_d_state": 4, "n_mamba_heads": 4,
        "adapter_rank": 2, "chunk_size": 4, "max_position_embeddings": 64, "time_step_min": 1e-30,
    },
    "opt": {
        "hidden_size": 16, "ffn_dim": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "word_embed_proj_dim": 16, "max_position_embeddings": 64,
    },
}  # fmt: skip
SIZES["gpt2"] = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "pad_token_id": 0} | {
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SIZES["mamba2"] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_heads": 4, "head_dim": 8, "state_size": 4, "n_groups": 1,
    "chunk_size": 4, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
SIZES["ministral"] = SIZES["mistral"] | {
    "sliding_window": 3,
    "layer_types": ["full_attention", "sliding_attention"],
}


def settings(family: str, **changes: Any) -> dict[str, Any]:
    """A configuration of a family, small."""
    return {"vocab_size": VOCAB, **SIZES[family], **changes}


def theirs(family: str, attention: str = "eager", **changes: Any) -> Any:
    """The model of transformers, with numbers wide enough that everything shows."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **settings(family, **changes))
    chosen = {} if family == "mamba2" else {"attn_implementation": attention}
    return drawn(AutoModelForCausalLM.from_config(config, **chosen))


def drawn(model: Any) -> Any:
    """The model with the same random numbers every time."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return model.eval()


def ours(model: Any, head: Any = None, dtype: torch.dtype = torch.float32, **mamba: Any) -> Model:
    """Ours, loaded from what the other writes; `mamba` are options of the block of that name."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        spec = changed(Path(folder), mamba) if mamba else None
        return composer.load(folder, spec=spec, head=head, dtype=dtype)


def changed(folder: Path, mamba: dict[str, Any]) -> Spec:
    """The spec of a folder, with other options of its block `mamba`."""
    data = import_config(
        json.loads((folder / "config.json").read_text(encoding="utf-8")), "small"
    ).model_dump()
    data["blocks"]["mamba"] |= mamba
    return Spec.model_validate(data)


def ids(rows: int = 1, tokens: int = 12) -> Tensor:
    """(rows, tokens) of random tokens, none of them special."""
    return torch.randint(3, VOCAB, (rows, tokens), generator=torch.Generator().manual_seed(1))


def left(tokens: Tensor, pads: int) -> tuple[Tensor, Tensor]:
    """The tokens behind pads, and their mask."""
    blank = torch.zeros(len(tokens), pads, dtype=torch.int64)
    return torch.cat([blank, tokens], 1), torch.cat([blank, torch.ones_like(tokens)], 1)


def right(tokens: Tensor, pads: int) -> tuple[Tensor, Tensor]:
    """The tokens before pads, and their mask."""
    blank = torch.zeros(len(tokens), pads, dtype=torch.int64)
    return torch.cat([tokens, blank], 1), torch.cat([torch.ones_like(tokens), blank], 1)


def alone(model: Any, tokens: Tensor) -> Tensor:
    """The logits of tokens without pads, a cache or neighbours: what every other way has to give."""
    found: Tensor = model(tokens, use_cache=False).logits
    return found


def stepwise(model: Any, tokens: Tensor, first: int = 1, **given: Any) -> Tensor:
    """Logits of the tokens after the first `first`, fed one by one into a cache."""
    out, found = model(tokens[:, :first], use_cache=True, **given), []
    for column in range(first, tokens.shape[1]):
        out = model(tokens[:, column : column + 1], past_key_values=out.past_key_values, use_cache=True)
        found.append(out.logits)
    return torch.cat(found, 1)


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a - b).abs().max() / b.abs().max())
