"""A cache in one safetensors file: its tensors, and in the header what they are and how far each row has come.

The fingerprint is that of what the model remembers (every slot, its shapes and dtypes) and of the blocks that
made it, never of its weights: memory made with other weights loads, and continues wrongly.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..errors import CacheError, WeightsError, fail
from ..layout.jsontext import JsonProblem, parse_json
from ..nn.cache import HybridCache
from ..nn.model import Model
from ..plan import Plan
from .checkpoint import DTYPES as STORED
from .files import open_regular, reason
from .finite import not_finite
from .header import Entry, read_header, read_notes

KEY = "composer_cache"
VERSION = 1
NUMBERS = ("lengths", "reached", "anchors", "behind")


def save_cache(cache: HybridCache, path: str | os.PathLike[str]) -> None:
    """Write `cache` to the file `path`: after a crash there is the old file or the new one.

    Only what is remembered is written, not the room for more.  Raises CacheError E802 for a cache that a
    failed call left unusable, E818 where it holds NaN or infinity; WeightsError E521 where the system refused.
    """
    cache.require_whole()
    target = Path(path)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in contents(cache).items()}
    require_finite(tensors, f"{target} was not written")
    notes = {KEY: json.dumps(described(cache))}
    try:
        write(target, tensors, notes)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        message = f"{target} could not be saved: {reason(error)}; what was there is unchanged"
        fail(WeightsError, "E521", message)


def load_cache(path: str | os.PathLike[str], model: Model) -> HybridCache:
    """The cache in the file `path`, as it was saved, for `model`.

    Everything is checked before anything is read.  Raises WeightsError E502 to E504 for a file that cannot be
    read or is damaged, CacheError E815 for one that holds no cache, E816 for the memory of another model,
    E817 for lengths that cannot be, E818 for NaN or infinity.
    """
    source = Path(path)
    with os.fdopen(open_regular(source), "rb") as file:
        entries = read_header(file.fileno(), source.name)
        notes = parsed(read_notes(file.fileno(), source.name).get(KEY), source.name)
        require_memory(notes, model, source.name)
        cache = outlined(notes, model, source.name)
        require_entries(cache, entries, source.name)
        tensors = {name: read(file, entry) for name, entry in entries.items()}
    require_finite(tensors, f"{source} is not used")
    try:
        filled(cache, tensors, model.device)
    except (RuntimeError, MemoryError) as error:
        impossible(source.name, f"there is no room for {cache.batch_size} rows: {reason(error)}")
    return cache


def contents(cache: HybridCache) -> dict[str, torch.Tensor]:
    """Every tensor by name, as far as it counts."""
    return {
        f"layers.{number}.{path}.{name}": tensor
        for number, path, slot in cache.named_slots()
        for name, tensor in slot.copied(cache.progress.longest).items()
    }


def memory_of(plan: Plan, dtype: torch.dtype, max_length: int | None, rollback: int) -> dict[str, Any]:
    """What decides whether memory means the same to two models, slot by slot."""
    slots = {}
    for layer in plan.layers:
        blocks = dict(layer.mixers())
        for path, slot in layer.slots().items():
            block = blocks[path].block
            slots[f"layers.{layer.index}.{path}"] = {
                "slot": slot.model_dump(mode="json"),
                "kind": block.kind,
                "options": block.model_dump(mode="json"),
                "site": blocks[path].site.model_dump(mode="json"),
            }
    name = str(dtype).removeprefix("torch.")
    return {"dtype": name, "max_length": max_length, "rollback": rollback, "slots": slots}


def fingerprint(memory: Mapping[str, Any]) -> str:
    """Of what `memory_of` says and the version of this format."""
    text = json.dumps([VERSION, memory], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def described(cache: HybridCache) -> dict[str, Any]:
    """The notes of a file."""
    memory = memory_of(cache.plan, cache.dtype, cache.max_length, cache.allowed)
    progress = {name: getattr(cache.progress, name) for name in NUMBERS}
    marks = {name: fingerprint({"slot": slot}) for name, slot in memory["slots"].items()}
    notes = {
        "version": VERSION,
        "fingerprint": fingerprint(memory),
        "dtype": memory["dtype"],
        "rollback": cache.allowed,
        "max_length": cache.max_length,
        "slots": marks,
        **progress,
    }
    return {**notes, "check": fingerprint(notes)}


def parsed(text: str | None, name: str) -> dict[str, Any]:
    """The notes of a file, of the right types."""
    if text is None:
        no_cache(name, f"has no {KEY} in its header")
    try:
        notes = parse_json(text)
    except JsonProblem as problem:
        no_cache(name, f"has a {KEY} that {problem.message}")
    if not isinstance(notes, dict):
        no_cache(name, f"has a {KEY} that is no object")
    if notes.get("version") != VERSION:
        no_cache(name, f"is of version {notes.get('version')!r}, this library reads version {VERSION}")
    kinds = {
        "fingerprint": str,
        "check": str,
        "dtype": str,
        "rollback": int,
        "slots": dict,
        **dict.fromkeys(NUMBERS, list),
    }
    wrong = [key for key, kind in kinds.items() if type(notes.get(key)) is not kind]
    if wrong or type(notes.get("max_length", "")) not in (int, type(None)):
        no_cache(name, f"has a {KEY} without a proper {(wrong or ['max_length'])[0]}")
    return notes


def require_memory(notes: Mapping[str, Any], model: Model, name: str) -> None:
    """Raise CacheError E816 unless `model` would remember the same things in the same form."""
    memory = memory_of(model.plan, model.dtype, notes["max_length"], notes["rollback"])
    if notes["dtype"] != memory["dtype"]:
        other_model(name, f"it is {notes['dtype']}, the model {memory['dtype']}")
    own = {path: fingerprint({"slot": slot}) for path, slot in memory["slots"].items()}
    for path in [*own, *notes["slots"]]:
        if own.get(path) != notes["slots"].get(path):
            here = "is not in the model" if path not in own else "is not in the file"
            other_model(name, f"{path} {'differs' if path in own and path in notes['slots'] else here}")
    if fingerprint(memory) != notes["fingerprint"]:
        other_model(name, "its fingerprint is another")


def outlined(notes: Mapping[str, Any], model: Model, name: str) -> HybridCache:
    """An empty cache of the rows that the notes speak of, without memory."""
    lengths, most, rollback = notes["lengths"], notes["max_length"], notes["rollback"]
    if not lengths or any(len(notes[key]) != len(lengths) for key in NUMBERS):
        impossible(name, "its rows are not the same everywhere")
    if rollback < 0 or (most is not None and most < 1):
        impossible(name, f"it is for {most} tokens a row and a rollback of {rollback}")
    for length, reached, anchor, behind in zip(*(notes[key] for key in NUMBERS), strict=True):
        numbers = all(type(n) is int and 0 <= n < 1 << 40 for n in (length, reached, anchor))
        if not numbers or type(behind) is not bool or not anchor <= length <= reached:
            impossible(
                name, f"a row of {length!r} tokens has reached {reached!r} with an anchor at {anchor!r}"
            )
        if most is not None and reached > most:
            impossible(name, f"a row has reached {reached} tokens of {most}")
    cache = HybridCache(model.plan, len(lengths), most, rollback, model.dtype, torch.device("meta"))
    back = max(reached - length for reached, length in zip(notes["reached"], lengths, strict=True))
    if cache.limit() and back > rollback:
        impossible(name, f"a row has gone back {back} tokens of {rollback}")
    if notes["check"] != fingerprint({key: note for key, note in notes.items() if key != "check"}):
        impossible(name, "its numbers were changed")
    for key in NUMBERS:
        setattr(cache.progress, key, list(notes[key]))
    return cache


def require_entries(cache: HybridCache, entries: Mapping[str, Entry], name: str) -> None:
    """Raise CacheError E817 unless the file has exactly the tensors of such rows."""
    wanted = expected(cache)
    for tensor in [*wanted, *entries]:
        if tensor not in entries or tensor not in wanted:
            impossible(name, f"{tensor} is {'missing' if tensor in wanted else 'not of this memory'}")
        entry, (shape, dtype) = entries[tensor], wanted[tensor]
        if (shape, dtype) != (entry.shape, STORED[entry.dtype]):
            found = f"{entry.dtype} {list(entry.shape)}"
            impossible(name, f"{tensor} is {found}, its rows need {dtype} {list(shape)}")


def expected(cache: HybridCache) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and dtype of every tensor that `contents` would give."""
    found = {}
    for number, path, slot in cache.named_slots():
        longest = cache.progress.longest
        slot.tensors = slot.allocate(cache.batch_size, longest)
        for part, view in slot.used(longest).items():
            found[f"layers.{number}.{path}.{part}"] = tuple(view.shape), view.dtype
    return found


def filled(cache: HybridCache, tensors: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Let an outlined cache remember what was read."""
    cache.device = device
    for number, path, slot in cache.named_slots():
        parts = {name: tensors[f"layers.{number}.{path}.{name}"] for name in slot.tensors}
        slot.device = device
        slot.fill([parts], cache.progress.longest)


def read(file: Any, entry: Entry) -> torch.Tensor:
    """One tensor."""
    file.seek(entry.start)
    data = bytearray(file.read(entry.size))
    dtype = STORED[entry.dtype]
    return (
        torch.frombuffer(data, dtype=dtype).view(entry.shape)
        if data
        else torch.empty(entry.shape, dtype=dtype)
    )


def require_finite(tensors: Mapping[str, torch.Tensor], consequence: str) -> None:
    """Raise CacheError E818 for a NaN or an infinity."""
    for name in not_finite(tensors):
        hint = "the model computed numbers that are none; look at its weights and at what it was fed"
        fail(CacheError, "E818", f"{consequence}: {name} holds numbers that are not finite", hint=hint)


def write(target: Path, tensors: dict[str, torch.Tensor], notes: dict[str, str]) -> None:
    """The file, at once and on the disk."""
    handle, draft = mkstemp(prefix=f".{target.name}.saving-", dir=target.parent)
    os.close(handle)
    try:
        save_file(tensors, draft, metadata=notes)
        os.chmod(draft, target.parent.stat().st_mode & 0o666)
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, target)
    finally:
        with suppress(OSError):
            os.unlink(draft)


def no_cache(name: str, why: str) -> NoReturn:
    """Not a file of ours."""
    fail(CacheError, "E815", f"{name} {why}", hint="cache.save(path) writes such files")


def other_model(name: str, why: str) -> NoReturn:
    """A file of ours, for another model."""
    hint = "load it with a model of the same spec and dtype, or feed the tokens again"
    fail(CacheError, "E816", f"{name} is the memory of another model: {why}", hint=hint)


def impossible(name: str, why: str) -> NoReturn:
    """Numbers that no cache has."""
    fail(CacheError, "E817", f"{name} holds no possible cache: {why}", hint="save it again")
