"""Mutants of one safetensors file: the length field, the JSON of the header, offsets, shapes, and the extent."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from . import mutate

Header = dict[str, Any]
DTYPES = [
    "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64",
    "F4", "F6_E2M3", "F8_E8M0", "C64", "f32", "",
]  # fmt: skip


def mutant(draw: Random, raw: bytes) -> bytes:
    """A sound file with one part of it damaged."""
    way = draw.choice(
        [length, length, text, text, extent, structure, structure, structure, lies, lies, lies, lies]
    )
    return way(draw, raw)


def parted(raw: bytes) -> tuple[bytes, bytes]:
    """The JSON of the header, and the data."""
    end = 8 + int.from_bytes(raw[:8], "little")
    return raw[8:end], raw[end:]


def joined(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def length(draw: Random, raw: bytes) -> bytes:
    """Another length of the header."""
    known = int.from_bytes(raw[:8], "little")
    odd = [0, 1, 2, 8, known - 1, known + 1, known + 8, len(raw), len(raw) - 8, len(raw) - 7, 2 * known]
    odd += [
        100 << 20,
        64 << 20,
        (64 << 20) + 1,
        2**31,
        2**32 + known,
        2**53,
        2**63 - 1,
        2**63,
        2**64 - 1,
        2**64 - 8,
    ]
    if draw.random() < 0.3:
        return mutate.flipped(draw, raw, raw[:2]) + mutate.flipped(draw, raw, raw[2:8]) + raw[8:]
    return draw.choice(odd).to_bytes(8, "little") + raw[8:]


def text(draw: Random, raw: bytes) -> bytes:
    """The JSON damaged as text, its length as it was or as it is."""
    header, data = parted(raw)
    changed = mutate.damaged(draw, header)
    return raw[:8] + changed + data if draw.random() < 0.3 else joined(changed, data)


def extent(draw: Random, raw: bytes) -> bytes:
    """A file that ends early or late, or with other numbers in it."""
    header, data = parted(raw)
    at = draw.randrange(len(raw))
    many = draw.choice([1, 4, 8, 4096])
    return draw.choice(
        [
            raw[:at],
            raw[: draw.randrange(16)],
            raw + bytes(many),
            raw[:-many],
            raw + raw,
            bytes(many) + raw,
            joined(header + b" " * many, data),
            joined(b" " + header, data),
            joined(header, mutate.damaged(draw, data, 2)),
            joined(header, data[:8] + b"\x00\x00\xc0\x7f" + data[12:]),
        ]
    )


def structure(draw: Random, raw: bytes) -> bytes:
    """The JSON with its structure changed."""
    header, data = parted(raw)
    return joined(mutate.as_json(mutate.edited(draw, json.loads(header))), data)


def lies(draw: Random, raw: bytes) -> bytes:
    """A header in the right form that says something else about the data."""
    header, data = parted(raw)
    found: Header = json.loads(header)
    for _ in range(draw.choice([1, 1, 2])):
        names = [name for name in found if name != "__metadata__"]
        draw.choice(LIES)(draw, found, draw.choice(names), draw.choice(names))
    return joined(mutate.as_json(found), data)


def other_dtype(draw: Random, header: Header, one: str, two: str) -> None:
    header[one]["dtype"] = draw.choice(DTYPES)


def same_size(draw: Random, header: Header, one: str, two: str) -> None:
    """Another type of as many bytes."""
    header[one]["dtype"] = draw.choice(["I32", "U32", "F32"])


def halved(draw: Random, header: Header, one: str, two: str) -> None:
    """Numbers of half the width, twice as many in a row."""
    header[one]["dtype"] = draw.choice(["F16", "BF16", "I16"])
    header[one]["shape"][-1] *= 2


def reshaped(draw: Random, header: Header, one: str, two: str) -> None:
    shape = header[one]["shape"]
    ways = [
        shape[::-1],
        [*shape, 1],
        [1, *shape],
        [1] * 17,
        [0, *shape],
        [2**61, 2**3],
        [2**31, 2**31, 2**31],
        [],
    ]
    header[one]["shape"] = draw.choice([*ways, [-1, *shape], [True], [1.0], shape * 40, [shape]])


def shifted(draw: Random, header: Header, one: str, two: str) -> None:
    offsets = header[one]["data_offsets"]
    by = draw.choice([1, -1, 4, -4, 8, 2**31, 2**62, 2**64, -(2**63), 10**39])
    header[one]["data_offsets"] = [offset + by * draw.choice([0, 1, 1]) for offset in offsets]


def exchanged(draw: Random, header: Header, one: str, two: str) -> None:
    """Two tensors that say they are where the other is."""
    header[one], header[two] = header[two], header[one]


def shared(draw: Random, header: Header, one: str, two: str) -> None:
    """Two tensors over the same bytes."""
    header[one] = json.loads(json.dumps(header[two]))


def renamed(draw: Random, header: Header, one: str, two: str) -> None:
    header[draw.choice([mutate.misspelt(draw, one), draw.choice(mutate.STRINGS)])] = header.pop(one)


def another(draw: Random, header: Header, one: str, two: str) -> None:
    """A tensor of nothing behind the last."""
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    shape = draw.choice([[0], [0, 2**61], [], [0] * 17])
    name = draw.choice(["new", "", "a.b.c", one.replace("0", "00"), one.replace("0", "99999999999999999999")])
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end]}


LIES: list[Callable[[Random, Header, str, str], None]] = [
    other_dtype, same_size, halved, reshaped, reshaped, shifted, shifted, exchanged, shared, renamed, another,
]  # fmt: skip
