"""The format of tuples: one (key, value) for each layer, (B, heads, T, dim), every row of the same T tokens.

It knows neither row lengths nor states, so it can be read and written only where every layer keeps the keys
and values of one block, and written only where no ring has dropped any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from torch import Tensor

from composer.errors import CacheError, fail

from .held import Held
from .memory import Memory
from .slots import KeyValues

HINT = "cache.save(path) writes what any cache holds"


def to_legacy(cache: Held) -> tuple[tuple[Tensor, Tensor], ...]:
    """Copies of what is remembered.

    Raises CacheError E813 for rows of different lengths, a layer with no memory, several or another kind
    than keys and values, and a ring that has dropped tokens.
    """
    cache.require_whole()
    lengths = set(cache.lengths)
    if len(lengths) > 1:
        refuse(f"the rows hold {cache.lengths} tokens, and tuples have no lengths")
    slots = [slot for _, slot in plain_slots(cache)]
    for path, slot in plain_slots(cache):
        if max(cache.progress.reached) > slot.capacity:
            refuse(f"{path} is a ring and has dropped its oldest tokens")
    (longest,) = lengths
    return tuple(pair(slot.copied(longest)) for slot in slots)


def batch_of(pairs: Any) -> int:
    """Rows of tuples.  Raises CacheError E814 for what are none."""
    try:
        rows = len(pairs[0][0])
    except (TypeError, IndexError, KeyError):
        mistaken(f"found {type(pairs).__name__}")
    return rows or mistaken("they have no rows")


def fill_from(cache: Held, pairs: Any) -> None:
    """Let an empty cache remember all tokens of `pairs`.

    Raises CacheError E813 for a model whose layers tuples do not describe, E814 for tuples that are not those
    of such a cache, E805 for more tokens than it was made for.
    """
    slots = list(plain_slots(cache))
    given = list(pairs) if isinstance(pairs, Sequence) else []
    if len(given) != len(slots):
        mistaken(f"{len(given)} layers were given, the model has {len(slots)}")
    tokens = None
    for (path, slot), each in zip(slots, given, strict=True):
        tokens = check_pair(cache, path, slot, each, tokens)
    cache.require_room([tokens or 0] * len(cache.lengths))
    for (_, slot), each in zip(slots, given, strict=True):
        put(slot, each, tokens or 0)
    cache.progress.commit([tokens or 0] * len(cache.lengths), cache.progress.anchors)


def put(slot: KeyValues, given: Iterable[Tensor], tokens: int) -> None:
    """Remember tokens from position 0, in a ring the newest of them at `position % capacity`."""
    room = slot.slot.capacity(tokens, slot.rollback)
    turned = [value.detach()[:, :, tokens - room :].roll(tokens % room if room else 0, 2) for value in given]
    slot.fill([dict(zip(slot.slot.tensors, turned, strict=True))], tokens)


def plain_slots(cache: Held) -> Iterator[tuple[str, KeyValues]]:
    """The one `kv` slot of every layer, with its path."""
    for number, slots in enumerate(cache.slots):
        if len(slots) != 1:
            refuse(f"layers.{number} remembers {len(slots) or 'no'} things, and tuples have one pair a layer")
        for path, slot in slots.items():
            yield f"layers.{number}.{path}", key_values(f"layers.{number}.{path}", slot)


def key_values(path: str, slot: Memory) -> KeyValues:
    """A slot of keys and values, and of nothing else."""
    if not isinstance(slot, KeyValues):
        refuse(f"{path} {slot.limit()}, which tuples cannot hold")
    if len(slot.slot.tensors) != 2:
        refuse(f"{path} keeps {', '.join(slot.slot.tensors)}, and tuples hold a key and a value")
    return slot


def check_pair(cache: Held, path: str, slot: KeyValues, given: Any, tokens: int | None) -> int:
    """How many tokens a pair holds, if it is one of this slot."""
    if not isinstance(given, Sequence) or len(given) != 2 or not all(isinstance(t, Tensor) for t in given):
        mistaken(f"{path}: expected a key and a value, two tensors")
    for (name, shape), value in zip(slot.slot.tensors.items(), given, strict=True):
        tokens = value.shape[2] if tokens is None and value.dim() > 2 else tokens
        wanted = (len(cache.lengths), shape[0], tokens, *shape[1:])
        if tuple(value.shape) != wanted:
            mistaken(f"{path}: {name} has the shape {tuple(value.shape)}, expected {wanted}")
        if (value.dtype, value.device) != (cache.dtype, cache.device):
            found, own = f"{value.dtype} on {value.device}", f"{cache.dtype} on {cache.device}"
            mistaken(f"{path}: {name} is {found}, the model {own}")
    assert tokens is not None
    return tokens


def pair(copies: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Key and value."""
    key, value = copies.values()
    return key, value


def refuse(why: str) -> NoReturn:
    """What tuples cannot say."""
    fail(CacheError, "E813", f"this cache cannot be one of tuples: {why}", hint=HINT)


def mistaken(what: str) -> NoReturn:
    """Tuples of something else."""
    hint = "one (key, value) for each layer, (rows, heads, tokens, dim)"
    fail(CacheError, "E814", f"these tuples are not the memory of this model: {what}", hint=hint)
