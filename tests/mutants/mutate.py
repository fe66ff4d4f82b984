"""Damage drawn from a seed: bytes flipped, texts cut and doubled, keys renamed, values replaced by odd ones."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import yaml

Change = Callable[[Random, Any, Any], None]

NUMBERS = [
    0, 1, -1, 2, 3, 4, 5, 7, 8, 12, 16, 64, 255, 4096, 10_000, 10_001, 2**20, 2**24, 2**24 + 1, 2**31 - 1, 2**31,
    2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64, -2, -(2**31), -(2**63), 10**30, 10**39, 10**50,
    0.0, -0.0, 0.5, 1.0, 2.0, -1.5, 1e-5, 1e-30, 1e-45, 5e-324, 1e20, 1e38, 1e39, 1e300, 1.7e308,
    math.nan, math.inf, -math.inf,
]  # fmt: skip
STRINGS = [
    "", " ", "null", "true", "1", "-1", "1e5", "nan", "inf", "x", "x6", "rest", "mixer", "norms", "embed", "forward",
    "training", "branches", "..", ".", "/", "\\", "../base.yaml", "/etc/passwd", "C:\\x", "file:///etc/passwd",
    "base.yaml", "mutant.yaml", "./mutant.yaml", "pipe.yaml", "folder.yaml", "loop.yaml", "zero.yaml",
    "a.b", "a b", "a\tb", "a\nb", "a\x00b", "\x1b[31m", "\u202eabc", "\ufeff", "\ud800", "\udfff\ud800", "é", "e\u0301",
    "а", "ｆｕｌｌ", "full\u200b", "ѕwа", "＋", "（", "，", "×", "٣", "²", "🤖", "{i}", "{", "%s", "{0}", "= 1", "= c",
    "__class__",
    "<s>", "float16", "bfloat16", "torch.float32", "float64", "int8", "F32", "F16", "BF16", "F8_E4M3", "I64", "BOOL",
    "a" * 300, "z" * 70_000, "(" * 200, "a,b" * 2000, "((a×999)×999)×999", "a×99999999999999999999", "8..15", "0..0",
    "5..1", "full[0]", "silu", "gelu", "yarn", "dynamic", "longrope", "llama3", "linear", "proportional",
    "attention", "mlp",
]  # fmt: skip
CONSTANTS = [None, True, False]
LOOKALIKES = str.maketrans("aceopxyskAB", "асеорхуѕкАВ")


class Twice(dict[str, Any]):
    """A mapping that is written with one of its keys twice."""

    def items(self) -> Any:
        pairs = list(super().items())
        return [*pairs, *pairs[:1]]


yaml.add_representer(
    Twice, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items())
)


def odd(draw: Random, data: Any) -> Any:
    """A value that is unlikely to belong where it is put; sometimes one from elsewhere in `data`."""
    pick = draw.random()
    if pick < 0.4:
        return draw.choice(NUMBERS)
    if pick < 0.7:
        return draw.choice(STRINGS)
    if pick < 0.8:
        return draw.choice(CONSTANTS)
    if pick < 0.9 and (found := list(places(data))):
        parent, key = draw.choice(found)
        return copy.deepcopy(parent[key])
    return draw.choice(
        [list, dict, nest, lambda: [None], lambda: {"": 1}, lambda: [[1.0]] * 300, lambda: [1.0] * 4]
    )()


def nest(depth: int = 90) -> Any:
    """Lists and mappings in each other."""
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every (collection, key or index) of plain data, root excluded."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield data, key
        yield from places(value)


def site(draw: Random, data: Any) -> tuple[Any, Any] | None:
    """One of the places: any of them, or by a walk from the root, so that long tables do not take them all."""
    found = list(places(data))
    if not found or draw.random() < 0.5:
        return draw.choice(found) if found else None
    parent, key = data, draw.choice(list(data) if isinstance(data, dict) else range(len(data)))
    while isinstance(parent[key], dict | list) and parent[key] and draw.random() < 0.8:
        parent = parent[key]
        key = draw.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    return parent, key


def edited(draw: Random, data: Any, most: int = 3) -> Any:
    """A copy of `data` with one to `most` changes of its structure."""
    data = copy.deepcopy(data)
    for _ in range(draw.choice([1, 1, *range(1, most + 1)])):
        found = site(draw, data)
        if found is None or draw.random() < 0.01:
            return odd(draw, data)
        parent, key = found
        change = draw.choice(IN_MAPPINGS if isinstance(parent, dict) else IN_LISTS)
        change(draw, parent, key)
        if change is twice:
            data = replaced(data, parent, Twice(parent))
    return data


def replaced(data: Any, old: Any, new: Any) -> Any:
    """`data` with one of its collections exchanged."""
    if data is old:
        return new
    for parent, key in list(places(data)):
        if parent[key] is old:
            parent[key] = new
    return data


def put(draw: Random, parent: Any, key: Any) -> None:
    parent[key] = odd(draw, parent)


def tweak(draw: Random, parent: Any, key: Any) -> None:
    """A near miss: a number a little off, a string with a character changed, another type of the same value."""
    value = parent[key]
    if isinstance(value, bool) or value is None:
        parent[key] = draw.choice([None, True, False, 0, 1, "null", "true", ""])
    elif isinstance(value, int | float):
        ways = [value + 1, value - 1, value * 2, -value, str(value), [value]]
        ways += [float(value), value / 3] if abs(value) < 1e300 else []
        parent[key] = draw.choice(ways)
    elif isinstance(value, str):
        parent[key] = misspelt(draw, value)
    else:
        parent[key] = draw.choice(
            [[value], {"a": value}, [value, copy.deepcopy(value)], type(value)(), str(value)[:99]]
        )


def misspelt(draw: Random, text: str) -> str:
    """A string with a piece lost, doubled, moved, or in letters that only look the same."""
    at, length = draw.randrange(len(text) + 1), draw.choice([1, 1, 2, 5])
    piece = text[at : at + length]
    new = draw.choice(
        ["", piece * 2, piece.upper(), piece.translate(LOOKALIKES), draw.choice(TOKENS), " ", piece * 40]
    )
    return text[:at] + new + text[at + length :]


def rename(draw: Random, parent: Any, key: Any) -> None:
    """A key under another name, at its old place in the order."""
    new = draw.choice(
        [misspelt(draw, key), key.upper(), key.translate(LOOKALIKES), draw.choice(STRINGS), f"{key} "]
    )
    pairs = [(new if each == key else each, value) for each, value in parent.items()]
    parent.clear()
    parent.update(pairs)


def remove(draw: Random, parent: Any, key: Any) -> None:
    del parent[key]


def swap(draw: Random, parent: Any, key: Any) -> None:
    """Two values of a collection in each other's place."""
    other = draw.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    parent[key], parent[other] = parent[other], parent[key]


def more(draw: Random, parent: Any, key: Any) -> None:
    """A key that does not belong here, or the value under a second name."""
    parent[draw.choice([draw.choice(STRINGS), f"{key}_2", "kind", "mix", "at", "set", "type"])] = (
        copy.deepcopy(parent[key])
    )


def twice(draw: Random, parent: Any, key: Any) -> None:
    """The caller exchanges the mapping."""


def repeat(draw: Random, parent: Any, key: Any) -> None:
    """One item many times."""
    parent[key:key] = [copy.deepcopy(parent[key]) for _ in range(draw.choice([1, 1, 2, 60]))]


IN_MAPPINGS: list[Change] = [
    put,
    put,
    put,
    tweak,
    tweak,
    tweak,
    tweak,
    rename,
    rename,
    remove,
    remove,
    swap,
    more,
    twice,
]
IN_LISTS: list[Change] = [put, put, tweak, tweak, tweak, remove, swap, repeat]

TOKENS = [
    *"\t\n\r \"'#&*!|>%@`{}[]()+,:?-~<.=\\×0_/", "\0", "\ufeff", "\u2028", "<<: ", "---\n", "...\n", "&a ", "*a",
    "!!int ", "- ", "017", ".inf", "1e999", "NaN", "Infinity", "-0", "\\ud800", "\\x", '{"', '"}', "×3", "x3", "+mlp",
    "rest",
]  # fmt: skip


def damaged(draw: Random, raw: bytes, most: int = 4) -> bytes:
    """Bytes with one to `most` stretches flipped, lost, doubled, moved, or replaced by what means something."""
    for _ in range(draw.choice(range(1, most + 1))):
        at, length = draw.randrange(len(raw) + 1), draw.choice([0, 1, 1, 2, 8, 40, 400])
        cut, end = raw[at : at + length], at + length
        if draw.random() < 0.05:
            return raw[:at]
        new = draw.choice([flipped, doubled, spiced, moved])(draw, raw, cut)
        raw = raw[:at] + new + raw[end:]
    return raw


def flipped(draw: Random, raw: bytes, cut: bytes) -> bytes:
    return bytes(byte ^ (1 << draw.randrange(8)) for byte in cut[:2]) + cut[2:]


def doubled(draw: Random, raw: bytes, cut: bytes) -> bytes:
    return cut * draw.choice([0, 2, 2, 3, 50])


def spiced(draw: Random, raw: bytes, cut: bytes) -> bytes:
    token = draw.choice([*TOKENS, *STRINGS]).encode("utf-8", "surrogatepass")
    return token * draw.choice([1, 1, 1, 1, 2, 30, 3000 if len(token) < 4 else 1])


def moved(draw: Random, raw: bytes, cut: bytes) -> bytes:
    at = draw.randrange(len(raw) + 1)
    return raw[at : at + max(1, len(cut))]


def as_json(data: Any, indent: int | None = None) -> bytes:
    """Plain data as JSON, halves of surrogate pairs and numbers that are none included."""
    return json.dumps(data, indent=indent).encode()


def as_yaml(draw: Random, data: Any) -> bytes:
    """Plain data as YAML in block style, or as JSON, which YAML is too."""
    if draw.random() < 0.3:
        return as_json(data, draw.choice([None, 1]))
    return yaml.dump(data, sort_keys=False, allow_unicode=draw.random() < 0.5).encode(
        "utf-8", "surrogatepass"
    )
