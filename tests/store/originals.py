"""Hand-made folders with params.json, and the forward pass of that layout in plain torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, HEAD, INNER = 37, 24, 4, 4, 2, 8, 20
PARAMS: dict[str, Any] = {
    "dim": WIDTH, "n_layers": LAYERS, "head_dim": HEAD, "hidden_dim": INNER, "n_heads": HEADS,
    "n_kv_heads": KV_HEADS, "norm_eps": 1e-5, "vocab_size": VOCAB, "rope_theta": 100.0,
}  # fmt: skip
CUT = {"tok_embeddings": 1, "wq": 0, "wk": 0, "wv": 0, "wo": 1, "w1": 0, "w3": 0, "w2": 1, "output": 0}
"""The dimension along which numbered files cut a tensor, by the last word of its name."""


def tensors(seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Random weights by the names of the layout."""
    q, kv = HEADS * HEAD, KV_HEADS * HEAD
    shapes: dict[str, tuple[int, ...]] = {"attention_norm": (WIDTH,), "ffn_norm": (WIDTH,)}
    shapes |= {"attention.wq": (q, WIDTH), "attention.wk": (kv, WIDTH), "attention.wv": (kv, WIDTH)}
    shapes |= {
        "attention.wo": (WIDTH, q),
        "feed_forward.w1": (INNER, WIDTH),
        "feed_forward.w3": (INNER, WIDTH),
    }
    shapes |= {"feed_forward.w2": (WIDTH, INNER)}
    names = {f"layers.{i}.{name}.weight": shape for i in range(LAYERS) for name, shape in shapes.items()}
    names |= {
        "tok_embeddings.weight": (VOCAB, WIDTH),
        "norm.weight": (WIDTH,),
        "output.weight": (VOCAB, WIDTH),
    }
    generator = torch.Generator().manual_seed(seed)
    return {name: (0.4 * torch.randn(shape, generator=generator)).to(dtype) for name, shape in names.items()}


def write(folder: Path, found: dict[str, Tensor], **params: Any) -> Path:
    """params.json and consolidated.safetensors."""
    folder.mkdir(exist_ok=True)
    save_file(found, folder / "consolidated.safetensors")
    return write_params(folder, **params)


def write_params(folder: Path, **params: Any) -> Path:
    """params.json; a value of `...` leaves the key out."""
    kept = {key: value for key, value in {**PARAMS, **params}.items() if value is not ...}
    (folder / "params.json").write_text(json.dumps(kept))
    return folder


def write_numbered(folder: Path, found: dict[str, Tensor], count: int) -> Path:
    """params.json and consolidated.00.pth to its like, each with a slice of every matrix."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        torch.save(
            {name: piece(name, tensor, number, count) for name, tensor in found.items()},
            folder / f"consolidated.{number:02}.pth",
        )
    return write_params(folder)


def piece(name: str, tensor: Tensor, number: int, count: int) -> Tensor:
    """What one of the numbered files holds of a tensor."""
    along = CUT.get(name.split(".")[-2])
    return tensor if along is None else tensor.chunk(count, along)[number].clone()


def logits(found: dict[str, Tensor], ids: Tensor, windows: list[int | None]) -> Tensor:
    """The model computed as its authors do: rotary partners are neighbours, turned as complex numbers."""
    x = found["tok_embeddings.weight"][ids]
    length = ids.shape[1]
    speeds = PARAMS["rope_theta"] ** (-torch.arange(0, HEAD, 2) / HEAD)
    angles = torch.outer(torch.arange(length), speeds)
    turn = torch.polar(torch.ones_like(angles), angles)
    distance = torch.arange(length)[:, None] - torch.arange(length)
    for i, window in enumerate(windows):
        w = {name.removeprefix(f"layers.{i}."): each for name, each in found.items()}
        a = norm(x, w["attention_norm.weight"])
        q, k, v = (heads(a @ w[f"attention.w{part}.weight"].T) for part in "qkv")
        k, v = (each.repeat_interleave(HEADS // KV_HEADS, 1) for each in (rotated(k, turn), v))
        seen = (distance >= 0) & (distance < (window or length))
        scores = (rotated(q, turn) @ k.transpose(-1, -2) / HEAD**0.5).masked_fill(~seen, float("-inf"))
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + mixed @ w["attention.wo.weight"].T
        b = norm(x, w["ffn_norm.weight"])
        gate, up = b @ w["feed_forward.w1.weight"].T, b @ w["feed_forward.w3.weight"].T
        x = x + (F.silu(gate) * up) @ w["feed_forward.w2.weight"].T
    return norm(x, found["norm.weight"]) @ found["output.weight"].T


def norm(x: Tensor, weight: Tensor) -> Tensor:
    """Divided by the root of the mean square."""
    return x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight


def heads(x: Tensor) -> Tensor:
    """(batch, heads, tokens, head) of (batch, tokens, heads * head)."""
    return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)


def rotated(x: Tensor, turn: Tensor) -> Tensor:
    """Each pair of neighbours is a complex number that turns with its position."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turn).flatten(-2)
