"""Checkpoints in layouts of their authors: one file of weights, or numbered ones that are joined."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..errors import WeightsError, fail
from ..layout.family import Family, matching, originals
from ..layout.originals import Files
from .checkpoint import SINGLE, Checkpoint, Shard, nothing_there, open_shards
from .files import present
from .finite import Region
from .header import Entry
from .index import INDEX
from .pickled import INDEX as PICKLED_INDEX
from .pickled import SINGLE as PICKLED
from .pickled import PickledShard, open_pickled


def open_weights(folder: Path) -> tuple[Checkpoint, Family | None]:
    """The weights in a folder, and the family whose layout they are in where that is not the usual one.

    Of several kinds one is read: safetensors of the usual names, then pickles of the usual names, then the
    files of another layout.  Raises `WeightsError` as `Checkpoint.open` and `open_pickled`; E508 where one
    layout has its weights twice, E544 where numbered files do not belong together.
    """
    if present(folder / SINGLE) or present(folder / INDEX):
        return Checkpoint.open(folder), None
    if present(folder / PICKLED) or present(folder / PICKLED_INDEX):
        return open_pickled(folder), None
    for family in originals().values():
        if family.file.layout and (shards := list(_shards(folder, family.file.layout))):
            return Checkpoint(folder, shards), family
    usual = [SINGLE, INDEX, PICKLED, PICKLED_INDEX]
    nothing_there(folder, [*dict.fromkeys([*usual, *_names_of_authors()])])


def _names_of_authors() -> Iterator[str]:
    """The files of weights in the layouts of their authors; families may have one layout in common."""
    for layout in (family.file.layout for family in originals().values()):
        if layout:
            yield from (layout.tensors, layout.index)
            if layout.numbered:
                yield layout.numbered_file(0)


def layout_in(config: Mapping[str, Any] | None) -> Family | None:
    """The family that a configuration belongs to, where it alone tells its layout: the files have the usual names."""
    found = [] if config is None else matching(config)
    files = found[0].file.layout if len(found) == 1 else None
    return found[0] if files is not None and files.tensors == SINGLE else None


def _shards(folder: Path, files: Files) -> Iterator[Shard]:
    """The weights of one layout; none if there are none."""
    numbers = _numbers(folder, files)
    kinds = [name for name in (files.tensors, files.index) if present(folder / name)]
    kinds += [files.numbered_file(number) for number in numbers[:1]]
    if len(kinds) > 1:
        both = f"both {kinds[0]} and {kinds[1]}"
        fail(WeightsError, "E508", f"{folder} holds {both}", hint="remove the one that is old")
    if numbers:
        yield _numbered(folder, files, numbers)
    elif kinds == [files.index]:
        yield from open_shards(folder, files.index)
    elif kinds:
        yield Shard(folder / files.tensors)


def _numbered(folder: Path, files: Files, numbers: list[int]) -> Shard:
    """Files that count from 00, as one."""
    if absent := sorted({*range(numbers[-1])} - {*numbers}):
        fail(WeightsError, "E544", f"{folder} lacks {files.numbered_file(absent[0])}")
    parts = [PickledShard(folder / files.numbered_file(number)) for number in numbers]
    return parts[0] if len(parts) == 1 else JoinedShard(parts, files)


def _numbers(folder: Path, files: Files) -> list[int]:
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        return []  # what is wrong with it is said where nothing is found
    return sorted(number for name in names if (number := files.number(name)) is not None)


class JoinedShard(Shard):
    """Files that each hold a slice of every matrix, seen as one; a joined tensor is made when it is asked for.

    Raises `WeightsError` E544 when the files do not hold slices of the same tensors.
    """

    def __init__(self, parts: list[PickledShard], files: Files) -> None:
        self.path, self._parts = parts[0].path, parts
        self._along = {name: files.dimension(name) for name in parts[0].entries}
        for part in parts[1:]:
            if odd := sorted({*part.entries} ^ {*parts[0].entries}):
                fail(WeightsError, "E544", f"{part.path}: {odd[0]} is not in every file of the model")
        self.entries = {name: self._entry(name) for name in parts[0].entries}

    def _entry(self, name: str) -> Entry:
        entries = [part.entries[name] for part in self._parts]
        along, first = self._along[name], entries[0]
        if along is None or along >= len(first.shape):
            same = all(
                torch.equal(part.tensor(name), self._parts[0].tensor(name)) for part in self._parts[1:]
            )
            if not same:
                fail(WeightsError, "E544", f"{self.path}: {name} differs between the files and is not cut")
            return first
        kinds = {(entry.dtype, *entry.shape[:along], *entry.shape[along + 1 :]) for entry in entries}
        if len(kinds) > 1:
            fail(WeightsError, "E544", f"{self.path}: the slices of {name} in the files do not fit together")
        size = sum(entry.shape[along] for entry in entries)
        shape = (*first.shape[:along], size, *first.shape[along + 1 :])
        return replace(first, shape=shape, size=sum(entry.size for entry in entries))

    def tensor(self, name: str) -> torch.Tensor:
        along = self._along[name]
        if along is None or along >= len(self.entries[name].shape):
            return self._parts[0].tensor(name)
        return torch.cat([part.tensor(name) for part in self._parts], along)

    def passing(self, name: str) -> torch.Tensor:
        return self.tensor(name)

    def forget(self, name: str, begin: int = 0, end: int | None = None) -> None:
        """What was joined goes with its tensor."""

    def regions(self, dtype: torch.dtype, without: Container[str] = ()) -> Iterator[Region]:
        """None: a joined tensor has no place before it is made."""
        return iter(())
