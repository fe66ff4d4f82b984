"""Tensors into one safetensors file, one after the other: only the one being written is in memory twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch

from .checkpoint import DTYPES
from .ops import Merged

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_STRETCH = 16 << 20


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor | Merged]) -> None:
    """Write the file anew: what is stored wider comes first, so that everything is aligned.

    Raises OSError.
    """
    order = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in order:
        tensor, begin = tensors[name], end
        end = begin + tensor.nbytes
        shape = list(tensor.shape)
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            _write_numbers(file, tensors[name].detach())


def _write_numbers(file: BinaryIO, tensor: torch.Tensor) -> None:
    numbers = tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy()
    for begin in range(0, len(numbers), _STRETCH):
        file.write(numbers[begin : begin + _STRETCH].data)
