"""Files of torch.save as shards: checked without being opened, then read by torch as tensors and nothing else."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import torch

from ..errors import WeightsError, fail
from .checkpoint import DTYPES, Checkpoint, Shard, open_shards
from .files import present
from .finite import Region
from .header import Entry
from .pickle_check import check_pickled

SINGLE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
NEEDED = (2, 10)
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class PickledShard(Shard):
    """The tensors of one file, sharing its mapped pages where it is an archive; writing never reaches the file.

    Raises `WeightsError`: E502 unreadable, E540 a torch that is too old, E541 damaged, E542 hostile, E543 other
    things than tensors.
    """

    def __init__(self, path: Path) -> None:
        check_torch()
        self.path = path
        self._tensors = dict(_tensors(path, _loaded(path, check_pickled(path))))
        self.entries = {
            name: Entry(_NAMES[tensor.dtype], tuple(tensor.shape), 0, tensor.nbytes)
            for name, tensor in self._tensors.items()
        }

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor; one whose numbers do not lie in order is put in order here, when it is known to be wanted."""
        found = self._tensors[name] = self._tensors[name].contiguous()
        return found

    def passing(self, name: str) -> torch.Tensor:
        return self.tensor(name)

    def forget(self, name: str, begin: int = 0, end: int | None = None) -> None:
        """The pages are torch's; clean ones leave memory when it is needed."""

    def regions(self, dtype: torch.dtype, without: Container[str] = ()) -> Iterator[Region]:
        for name, entry in self.entries.items():
            tensor = self._tensors[name]
            if tensor.dtype == dtype and tensor.is_contiguous() and entry.size and name not in without:
                data = tensor.view(-1).view(torch.uint8).numpy()
                yield Region(data, 0, entry.size, dtype)


def open_pickled(folder: Path) -> Checkpoint:
    """`pytorch_model.bin`, or the files that its index names.

    Raises `WeightsError` as `PickledShard` does, and E505 to E508 as `Checkpoint.open`.
    """
    if present(folder / SINGLE) and present(folder / INDEX):
        hint = "remove the one that is old"
        fail(WeightsError, "E508", f"{folder} holds both {SINGLE} and {INDEX}", hint=hint)
    single = present(folder / SINGLE)
    return Checkpoint(
        folder,
        [PickledShard(folder / SINGLE)] if single else open_shards(folder, INDEX, ".bin", PickledShard),
    )


def check_torch() -> None:
    """Older releases can be made to run code even where only tensors are wanted.  Raises `WeightsError` E540."""
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < NEEDED:
        needed = ".".join(map(str, NEEDED))
        message = f"pickled weights are read with torch {needed} or newer; this is {torch.__version__}"
        fail(WeightsError, "E540", message, hint="convert them to safetensors, or update torch")


def _loaded(path: Path, mapped: bool) -> object:
    """What torch makes of the file.  It checks again what may be called, whatever was found before."""
    try:
        return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mapped)
    except MemoryError:
        raise
    except Exception as error:  # torch raises what it happens to meet in a damaged file
        fail(WeightsError, "E541", f"{path} is damaged or cut off: {_why(error)}", hint="download it again")


def _why(error: Exception) -> str:
    """The first line of what torch says, but for its advice on how to load the file without any care."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "torch finds more in it than tensors" if "weights_only" in lines[0] else lines[0][:200]


def _tensors(path: Path, found: object) -> Iterator[tuple[str, torch.Tensor]]:
    if not isinstance(found, Mapping):
        _wrong(path, f"a {type(found).__name__} where tensors by name are expected")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            _wrong(path, f"a {type(value).__name__} under {name!r} where a tensor is expected")
        if value.layout != torch.strided or value.dtype not in _NAMES or value.is_meta:
            _wrong(path, f"{name} as {value.dtype}, {value.layout}, which is not read")
        if value.nbytes > value.untyped_storage().nbytes():
            _wrong(path, f"{name} with more numbers than the file has")
        yield name, value.detach()


def _wrong(path: Path, what: str) -> NoReturn:
    hint = "a checkpoint of a model is read, not that of a training run"
    fail(WeightsError, "E543", f"{path} holds {what}", hint=hint)
