"""Files of torch.save, sound and made to do harm."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

Record = tuple[str, bytes]


def saved(found: Any, archive: bool = True) -> bytes:
    """What torch.save writes, as the archive of today or in the form before torch 1.6."""
    out = io.BytesIO()
    torch.save(found, out, _use_new_zipfile_serialization=archive)
    return out.getvalue()


def rezipped(
    raw: bytes, change: Callable[[str, bytes], Iterator[Record]], how: int = zipfile.ZIP_STORED
) -> bytes:
    """An archive with each record replaced by what `change` makes of it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w", how) as new:
        for record in old.infolist():
            for name, data in change(record.filename, old.read(record)):
                new.writestr(name, data, compress_type=how)
    return out.getvalue()


def more(raw: bytes, name: str) -> bytes:
    """An archive with one further record."""

    def change(old: str, data: bytes) -> Iterator[Record]:
        yield old, data
        if old.endswith("data.pkl"):
            yield name, b"x"

    return rezipped(raw, change)


def with_pickle(raw: bytes, pickle: Callable[[bytes], bytes]) -> bytes:
    """An archive with its pickle changed."""

    def change(name: str, data: bytes) -> Iterator[Record]:
        yield name, pickle(data) if name.endswith("data.pkl") else data

    return rezipped(raw, change)


class Bomb:
    """An object that makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{self.proof}'",)
