"""Which file holds which tensor: `model.safetensors.index.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..errors import Place, Problem, WeightsError, fail
from ..layout.jsontext import JsonProblem, parse_json
from ..layout.names import folded
from .files import contained, read_small
from .header import Entry

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Index:
    """Tensor name to shard name, and the byte count that the file claims for all of them (None: no claim)."""

    shards: Mapping[str, str]
    total_size: int | None


def read_index(path: Path, ending: str = ".safetensors") -> Index:
    """The index, with shard names that can only mean files beside it, of the given ending.

    Raises `WeightsError` E505 for a file of another form, E506 for a shard name that leads elsewhere.
    """
    found = _read(path)
    shards = found.get("weight_map")
    if not isinstance(shards, dict) or not shards:
        fail(WeightsError, "E505", f"{path.name} must have a weight_map from tensor names to file names")
    for tensor, shard in shards.items():
        if not isinstance(shard, str):
            fail(WeightsError, "E505", f"{path.name}: weight_map.{tensor} must be a file name, not {shard!r}")
        if not contained(shard) or not shard.endswith(ending):
            what = f"not the name of a {ending} file beside it"
            fail(WeightsError, "E506", f"{path.name}: weight_map.{tensor} is {shard!r}, {what}")
    total = _total_size(found.get("metadata"), path.name)
    return Index(shards, total if ending == ".safetensors" else None)  # pickles count shared tensors once


def _read(path: Path) -> dict[str, object]:
    try:
        found = parse_json(read_small(path))
    except JsonProblem as problem:
        place = Place(path.name, problem.line, problem.column) if problem.line else None
        fail(WeightsError, "E505", f"{path.name} {problem.message}", place=place)
    if not isinstance(found, dict):
        fail(WeightsError, "E505", f"{path.name} must be a JSON object")
    return found


def _total_size(metadata: object, name: str) -> int | None:
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        fail(WeightsError, "E505", f"{name}: metadata must be an object")
    total = metadata.get("total_size")
    if total is None or (type(total) in (int, float) and total >= 0 and total == int(total)):
        return None if total is None else int(total)
    fail(WeightsError, "E505", f"{name}: metadata.total_size must be a number of bytes, not {total!r}")


def compare(index: Index, found: Mapping[str, Mapping[str, Entry]], name: str = INDEX) -> list[Problem]:
    """Where the index, called `name`, and its shards (`found`: shard to its tensors) disagree."""
    homes: dict[str, list[str]] = {}
    for shard, entries in found.items():
        for tensor in entries:
            homes.setdefault(tensor, []).append(shard)
    absent = [t for t, shard in index.shards.items() if shard not in homes.get(t, ())]
    extra = [t for t in homes if t not in index.shards]
    twice = [t for t, shards in homes.items() if len(shards) > 1]
    problems = [
        Problem("E507", f"{name} and its shards disagree: {message} {tensor}")
        for names, message in (
            (absent, "not in the shard that the index names:"),
            (extra, "in a shard but not in the index:"),
            (twice, "in more than one shard:"),
        )
        for tensor in folded(names)
    ]
    all_entries = [entry for tensors in found.values() for entry in tensors.values()]
    return problems or _compare_sizes(index, all_entries, name)


def _compare_sizes(index: Index, entries: list[Entry], name: str) -> list[Problem]:
    """The claimed size may be that of another precision: converters often leave the old number standing."""
    total, count = sum(e.size for e in entries), sum(prod(e.shape) for e in entries)
    if index.total_size is None or index.total_size in (total, 2 * count, 4 * count, 8 * count):
        return []
    message = f"{name}: metadata.total_size is {index.total_size}, but its tensors have {total} bytes"
    return [Problem("E507", message, hint="download the folder again, or remove total_size from the index")]
