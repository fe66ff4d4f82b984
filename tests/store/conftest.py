"""A tiny published checkpoint, written by transformers' own hand and then damaged at will."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

LAYERS, WIDTH, VOCAB = 3, 8, 11
CONFIG: dict[str, Any] = {
    "model_type": "mistral", "vocab_size": VOCAB, "hidden_size": WIDTH, "intermediate_size": 12,
    "num_hidden_layers": LAYERS, "num_attention_heads": 2, "num_key_value_heads": 1, "sliding_window": 5,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "torch_dtype": "float32", "rope_theta": 1000.0,
}  # fmt: skip


def tensors(seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """The tensors of that configuration by their published names."""
    shapes = {"input_layernorm": (8,), "post_attention_layernorm": (8,), "self_attn.q_proj": (8, 8)}
    shapes |= {"self_attn.k_proj": (4, 8), "self_attn.v_proj": (4, 8), "self_attn.o_proj": (8, 8)}
    shapes |= {"mlp.gate_proj": (12, 8), "mlp.up_proj": (12, 8), "mlp.down_proj": (8, 12)}
    names = {
        f"model.layers.{i}.{name}.weight": shape for i in range(LAYERS) for name, shape in shapes.items()
    }
    names |= {
        "model.embed_tokens.weight": (VOCAB, WIDTH),
        "model.norm.weight": (8,),
        "lm_head.weight": (VOCAB, 8),
    }
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in names.items()}


def write_single(folder: Path, found: dict[str, torch.Tensor], **config: Any) -> Path:
    """One safetensors file and a config.json; a config value of `...` leaves the key out."""
    folder.mkdir(exist_ok=True)
    save_file(found, folder / "model.safetensors")
    kept = {key: value for key, value in {**CONFIG, **config}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept))
    return folder


def write_sharded(folder: Path, found: dict[str, torch.Tensor]) -> Path:
    """Two shards and an index, as hubs have them."""
    write_single(folder, {"x": torch.zeros(1)})
    (folder / "model.safetensors").unlink()
    names = list(found)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, keys in shards.items():
        save_file({key: found[key] for key in keys}, folder / shard)
    total = sum(tensor.nbytes for tensor in found.values())
    homes = {key: shard for shard, keys in shards.items() for key in keys}
    write_index(folder, {"metadata": {"total_size": total}, "weight_map": homes})
    return folder


def write_index(folder: Path, index: Any) -> None:
    """The index as JSON."""
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def read_index(folder: Path) -> dict[str, Any]:
    """The index as written."""
    found: dict[str, Any] = json.loads((folder / "model.safetensors.index.json").read_text())
    return found


def rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the header of a safetensors file and leave its data alone."""
    raw = file.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


def whole(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a folder, read by the safetensors library."""
    return {k: v for file in sorted(folder.glob("*.safetensors")) for k, v in load_file(file).items()}


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A sound folder with one file."""
    return write_single(tmp_path / "single", tensors())


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A sound folder with two shards."""
    return write_sharded(tmp_path / "sharded", tensors())


@pytest.fixture
def threads() -> Iterator[None]:
    """The number of torch's threads, put back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
