"""The header of a safetensors file, verified before any tensor is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from ..errors import WeightsError, fail
from ..layout.jsontext import JsonProblem, parse_json

MOST_HEADER_BYTES = 32 << 20
ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its meaning, where its bytes start (counted from the file's first), how many."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def read_header(descriptor: int, name: str) -> dict[str, Entry]:
    """Every tensor of the open file, by name, in the order of their bytes.

    The tensors fill the file exactly: no hole, no overlap, nothing missing, nothing after the last.
    Raises `WeightsError` E503 for a header that cannot be read, E504 for one that does not fit the file.
    """
    total = os.fstat(descriptor).st_size
    length = int.from_bytes(os.read(descriptor, 8), "little") if total >= 8 else 0
    if total < 8:
        fail(WeightsError, "E503", f"{name}: has {total} bytes and is no safetensors file")
    if length > MOST_HEADER_BYTES:
        fail(WeightsError, "E503", f"{name}: claims a header of {length} bytes; at most {MOST_HEADER_BYTES}")
    if 8 + length > total:
        fail(WeightsError, "E504", f"{name}: is cut off: its header needs {8 + length} bytes of {total}")
    entries = _entries(_object(_read(descriptor, length), name), name, 8 + length)
    _check_layout(entries, name, 8 + length, total)
    return entries


def read_notes(descriptor: int, name: str) -> dict[str, str]:
    """The free notes in the header of an open file that `read_header` has accepted."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    length = int.from_bytes(os.read(descriptor, 8), "little")
    notes: dict[str, str] = _object(_read(descriptor, length), name).get("__metadata__", {})
    return notes


def _read(descriptor: int, length: int) -> bytes:
    pieces, left = [], length
    while left and (piece := os.read(descriptor, left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _object(text: bytes, name: str) -> dict[str, Any]:
    try:
        found = parse_json(text) if text[:1] == b"{" else None
    except JsonProblem as problem:
        fail(WeightsError, "E503", f"{name}: its header {problem.message}")
    if not isinstance(found, dict):
        fail(WeightsError, "E503", f"{name}: its header is not a JSON object")
    return found


def _entries(header: dict[str, Any], name: str, base: int) -> dict[str, Entry]:
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        fail(WeightsError, "E503", f"{name}: its __metadata__ must map strings to strings")
    found = {tensor: _entry(record, f"{name}: tensor {tensor!r}", base) for tensor, record in header.items()}
    return dict(sorted(found.items(), key=lambda item: (item[1].start, item[1].size)))


def _entry(record: object, name: str, base: int) -> Entry:
    if not isinstance(record, dict) or set(record) != {"dtype", "shape", "data_offsets"}:
        fail(WeightsError, "E503", f"{name} must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = record["dtype"], record["shape"], record["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        fail(WeightsError, "E503", f"{name} has the unknown dtype {str(dtype)[:40]!r}")
    if not _counts(shape) or len(shape) > 16:
        fail(WeightsError, "E503", f"{name} has a shape that is not a short list of sizes")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        fail(WeightsError, "E503", f"{name} has data_offsets that are not [begin, end]")
    size = offsets[1] - offsets[0]
    if prod(shape) * ITEM_BYTES[dtype] != size:
        wanted = prod(shape) * ITEM_BYTES[dtype]
        fail(WeightsError, "E504", f"{name} needs {wanted} bytes for {dtype} {list(shape)} but has {size}")
    return Entry(dtype, tuple(shape), base + offsets[0], size)


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def _check_layout(entries: dict[str, Entry], name: str, base: int, total: int) -> None:
    for tensor, entry, end in _walk(entries, base):
        if entry.start != end:
            hole = f"leaves {entry.start - end} bytes unused before it"
            what = "overlaps the one before it" if entry.start < end else hole
            fail(WeightsError, "E504", f"{name}: tensor {tensor!r} {what}")
    last = base + sum(entry.size for entry in entries.values())
    if last > total:
        fail(WeightsError, "E504", f"{name}: is cut off: its tensors need {last} bytes, the file has {total}")
    if last < total:
        fail(WeightsError, "E504", f"{name}: has {total - last} bytes after its last tensor")


def _walk(entries: dict[str, Entry], end: int) -> Iterator[tuple[str, Entry, int]]:
    for tensor, entry in entries.items():
        yield tensor, entry, end
        end = entry.start + entry.size
