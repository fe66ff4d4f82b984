"""A checkpoint folder: its safetensors files, verified when opened and memory-mapped when read."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from ..errors import Problem, WeightsError, did_you_mean, fail
from .files import open_regular, present, reason
from .finite import Region, Scan
from .header import Entry, read_header
from .index import INDEX, compare, read_index

SINGLE = "model.safetensors"
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "U16": torch.uint16,
    "I32": torch.int32, "U32": torch.uint32, "I64": torch.int64, "U64": torch.uint64,
    "F8_E5M2": torch.float8_e5m2, "F8_E4M3": torch.float8_e4m3fn,
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
}  # fmt: skip


class Shard:
    """One safetensors file, mapped copy-on-write: what is done to its tensors never reaches the file.

    It is mapped twice.  Tensors that stay share the pages of one map; what is only read in passing goes
    through the other, whose pages can be given back at any time since nobody can have written to them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = open_regular(path)
        try:
            self.entries = read_header(descriptor, path.name)
            self._lasting = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
            self._passing = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            fail(WeightsError, "E502", f"{path} cannot be mapped: {reason(error)}")
        finally:
            os.close(descriptor)

    def dtype(self, name: str) -> torch.dtype:
        """The stored dtype of a tensor."""
        return DTYPES[self.entries[name].dtype]

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor, sharing the mapped pages (a tensor that is not aligned in the file is copied)."""
        return _view(self._lasting, self.entries[name])

    def regions(self, dtype: torch.dtype, without: Container[str] = ()) -> Iterator[Region]:
        """The lasting bytes of all tensors of one dtype but some, neighbours joined."""
        data = np.frombuffer(self._lasting, np.uint8)
        begin = end = 0
        for name, entry in self.entries.items():
            fits = DTYPES[entry.dtype] == dtype and entry.start % dtype.itemsize == 0 and name not in without
            if end > begin and (not fits or entry.start != end):
                yield Region(data, begin, end, dtype)
                begin = end = 0
            if fits:
                begin, end = (begin if end else entry.start), entry.start + entry.size
        if end > begin:
            yield Region(data, begin, end, dtype)

    def passing(self, name: str) -> torch.Tensor:
        """The tensor to read from and not to keep: its pages may go back with `forget`."""
        return _view(self._passing, self.entries[name])

    def forget(self, name: str, begin: int = 0, end: int | None = None) -> None:
        """Give pages that were read in passing (bytes `begin` to `end` of a tensor) back to the system."""
        entry = self.entries[name]
        first = (entry.start + begin) // mmap.PAGESIZE * mmap.PAGESIZE
        last = entry.start + (entry.size if end is None else end)
        if hasattr(mmap, "MADV_DONTNEED") and last > first:
            self._passing.madvise(mmap.MADV_DONTNEED, first, last - first)


def _view(pages: mmap.mmap, entry: Entry) -> torch.Tensor:
    dtype = DTYPES[entry.dtype]
    if not entry.size:
        return torch.empty(entry.shape, dtype=dtype)
    if entry.start % dtype.itemsize:
        raw = bytearray(memoryview(pages)[entry.start : entry.start + entry.size])
        return torch.frombuffer(raw, dtype=dtype).view(entry.shape)
    count = entry.size // dtype.itemsize
    return torch.frombuffer(pages, dtype=dtype, count=count, offset=entry.start).view(entry.shape)


class Checkpoint:
    """The tensors of a folder by name; opening it verifies every header and the index and reads no tensor."""

    def __init__(self, folder: Path, shards: list[Shard]) -> None:
        self.folder = folder
        self._homes = {name: shard for shard in shards for name in shard.entries}

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Checkpoint:
        """The checkpoint in `folder`: `model.safetensors` or the shards that its index names, no other file.

        Raises `WeightsError`: E501 nothing to load there, E502 unreadable, E503 and E504 a damaged file, E505
        to E507 an index that is malformed, leads elsewhere or disagrees with its shards, E508 two of them.
        """
        path = Path(folder)
        single, sharded = present(path / SINGLE), present(path / INDEX)
        if single and sharded:
            hint = "remove the one that is old"
            fail(WeightsError, "E508", f"{path} holds both {SINGLE} and {INDEX}", hint=hint)
        if not single and not sharded:
            nothing_there(path)
        return cls(path, [Shard(path / SINGLE)] if single else open_shards(path))

    def names(self) -> list[str]:
        """Every tensor name, shard by shard in the order of the bytes."""
        return list(self._homes)

    def __contains__(self, name: str) -> bool:
        return name in self._homes

    def entry(self, name: str) -> Entry:
        """Dtype (as the format spells it), shape and place of a tensor.  Raises `WeightsError` E511."""
        return self.shard(name).entries[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, from the header alone.  Raises `WeightsError` E511."""
        return self.entry(name).shape

    def dtype(self, name: str) -> torch.dtype:
        """The stored dtype of a tensor, from the header alone.  Raises `WeightsError` E511."""
        return self.shard(name).dtype(name)

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor as stored, over mapped pages (writing to it changes memory, never the file)."""
        return self.shard(name).tensor(name)

    def shard(self, name: str) -> Shard:
        """The file that holds a tensor.  Raises `WeightsError` E511."""
        if name not in self._homes:
            hint = did_you_mean(name, self._homes)
            fail(WeightsError, "E511", f"{self.folder} has no tensor {name!r}", hint=hint)
        return self._homes[name]

    def scan(self, dtype: torch.dtype, without: Container[str] = ()) -> Scan:
        """Begin to look for numbers that are not finite among the tensors of `dtype`, which stay mapped.

        Those in `without` do not; what is made of them is looked at later.
        """
        return Scan(
            region
            for shard in dict.fromkeys(self._homes.values())
            for region in shard.regions(dtype, without)
        )

    def float_dtype(self) -> torch.dtype | None:
        """The dtype of the first floating-point tensor; None if there is none."""
        stored = (self.dtype(name) for name in self._homes)
        return next((dtype for dtype in stored if dtype.is_floating_point and dtype.itemsize > 1), None)


def nothing_there(path: Path, names: Sequence[str] = (SINGLE, INDEX)) -> NoReturn:
    """Say that there are no weights, and under which names they are looked for.  Raises `WeightsError` E501."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        where = f"a checkpoint is a folder with {', '.join(names[:-1])} or {names[-1]}"
        fail(WeightsError, "E501", f"{path} {what}; {where}")
    fail(WeightsError, "E501", f"{path} holds none of {', '.join(names)}", hint=_instead(path))


def _instead(path: Path) -> str:
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        return reason(error)
    if any(name.endswith((".bin", ".pt", ".pth")) for name in names):
        return "pickles can run code when opened, and are read under their usual names only; use safetensors"
    others = [name for name in names if name.endswith(".safetensors")]
    return (
        f"{others[0]} is not a name that is looked for; rename it if it is the whole model" if others else ""
    )


def open_shards(
    folder: Path,
    file: str = INDEX,
    ending: str = ".safetensors",
    form: Callable[[Path], Shard] = Shard,
) -> list[Shard]:
    """The shards that an index names; they and the index must agree.  Raises as `Checkpoint.open`."""
    index = read_index(folder / file, ending)
    shards, problems = {}, []
    for name in dict.fromkeys(index.shards.values()):
        if present(folder / name):
            shards[name] = form(folder / name)
        else:
            problems.append(Problem("E507", f"{file} names {name}, which is not in {folder}"))
    problems = problems or compare(index, {name: shard.entries for name, shard in shards.items()}, file)
    if problems:
        raise WeightsError(*problems)
    return list(shards.values())
