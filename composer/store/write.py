"""Tensors and small files into a folder as hubs lay it out: one safetensors file, or shards and an index."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path

import torch

from ..errors import WeightsError, fail
from ..layout.family import originals
from .checkpoint import SINGLE
from .files import reason
from .index import INDEX
from .ops import Merged
from .swap import replaced
from .tensors import write_tensors

SHARD_BYTES = 5_000_000_000
OWNED = re.compile(
    r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|(generation_)?config\.json|composer\.yaml|head\.json"
    r"|pytorch_model(-\d{5}-of-\d{5})?\.bin|pytorch_model\.bin\.index\.json"
)
"""Names that a save writes anew or removes; every other file of an existing folder stays."""


TOKENIZER = re.compile(
    r"tokenizer.*|tekken\.json|special_tokens_map\.json|added_tokens\.json|vocab\..*|merges\.txt|chat_template.*"
)
"""Names of tokenizer files: they go when another tokenizer is written."""


def save_tensors(
    folder: str | os.PathLike[str],
    tensors: Mapping[str, torch.Tensor | Merged],
    files: Mapping[str, bytes] | None = None,
    max_shard_size: int = SHARD_BYTES,
    more: Callable[[Path], object] | None = None,
    single: str | None = None,
) -> None:
    """Write a checkpoint folder at once: after a crash there is the old folder or the new one.

    `files` are further small files by name (config.json); `more` writes those of a tokenizer into the folder
    it is given.  A tensor larger than `max_shard_size` bytes has a shard of its own; with `single` all tensors
    go into one file of that name.  Other files of an existing folder are kept.

    Raises `WeightsError`: E521 the system refused (disk full, no permission), E522 not a place for a folder,
    E525 tensors without numbers.
    """
    target = Path(folder)
    if any(tensor.is_meta for tensor in tensors.values()):
        fail(WeightsError, "E525", "the model has shapes but no numbers: it was built on the meta device")
    shards = {single: list(tensors)} if single else plan_shards(tensors, max_shard_size)
    needed = sum(t.nbytes for t in tensors.values()) + sum(map(len, (files or {}).values()))
    try:
        _check_target(target)
        _check_space(target, needed)
        with replaced(target, lambda name: _stale(name, more is not None)) as fresh:
            for name, keys in shards.items():
                _write_shard(fresh / name, {key: tensors[key] for key in keys})
            for name, content in {**_index(shards, tensors), **(files or {})}.items():
                _write(fresh / name, content)
            if more is not None:
                more(fresh)
    except (OSError, ValueError, RuntimeError) as error:
        message = f"{target} could not be saved: {reason(error)}; what was there is unchanged"
        fail(WeightsError, "E521", message)


def _stale(name: str, tokenizer: bool) -> bool:
    others = (family.file.layout for family in originals().values())
    return bool(
        OWNED.fullmatch(name)
        or (tokenizer and TOKENIZER.fullmatch(name))
        or any(files is not None and files.owns(name) for files in others)
    )


def plan_shards(tensors: Mapping[str, torch.Tensor | Merged], most: int) -> dict[str, list[str]]:
    """File name to tensor names, filled in order."""
    groups: list[list[str]] = [[]]
    size = 0
    for name, tensor in tensors.items():
        if groups[-1] and size + tensor.nbytes > most:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += tensor.nbytes
    if len(groups) == 1:
        return {SINGLE: groups[0]}
    return {f"model-{at:05}-of-{len(groups):05}.safetensors": names for at, names in enumerate(groups, 1)}


def _check_target(target: Path) -> None:
    if target.exists() and not target.is_dir():
        fail(WeightsError, "E522", f"{target} is a file; a model is saved as a folder")
    here = Path.cwd()
    if target.resolve() in (here, *here.parents):
        message = f"{target} is the folder you are working in and cannot be replaced as a whole"
        fail(WeightsError, "E522", message, hint="give a folder inside it")


def _check_space(target: Path, needed: int) -> None:
    """Say so before the first byte when the disk cannot hold it."""
    there = next(folder for folder in (target, *target.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"it needs {_size(needed)} and the disk has {_size(free)} left")


def _size(count: int) -> str:
    return f"{ceil(count / 1e6):,} MB"


def _write_shard(path: Path, tensors: Mapping[str, torch.Tensor | Merged]) -> None:
    write_tensors(path, tensors)
    _settle(path)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _settle(path)


def _settle(path: Path) -> None:
    """Onto the disk, and with the permissions that any new file gets (the library writes private ones)."""
    folder_mode = path.parent.stat().st_mode
    os.chmod(path, folder_mode & 0o666)
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _index(shards: Mapping[str, list[str]], tensors: Mapping[str, torch.Tensor | Merged]) -> dict[str, bytes]:
    if len(shards) == 1:
        return {}
    total = {"total_size": sum(tensor.nbytes for tensor in tensors.values())}
    homes = {name: shard for shard, names in shards.items() for name in names}
    index = {"metadata": total, "weight_map": dict(sorted(homes.items()))}
    return {INDEX: (json.dumps(index, indent=2) + "\n").encode()}
