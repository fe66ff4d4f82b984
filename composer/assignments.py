"""`path=value`: one value of a spec changed from the command line, with a place for everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .errors import Path, Place, SpecError, dotted, fail
from .origins import merge
from .source import Document, read_document
from .spec import Adapter, Draw

FILE = "--set"
_LEAD = "value: "
MOST_KEYS = 32
# What an entry of `blocks` has besides the options of its kind.
ENTRY = ("kind", "extends", "branches", "reads", "out", "share", "adapters")


@dataclass(frozen=True)
class Assignment:
    """`keys=value` as written; `path` is where it goes in a spec, `document` the value as YAML."""

    text: str
    keys: tuple[str, ...]
    path: Path
    document: Document

    @property
    def value(self) -> Any:
        """What is assigned."""
        return self.document.data["value"]

    @cached_property
    def parts(self) -> tuple[tuple[Path, Any], ...]:
        """What goes where in a spec: options of blocks to `final`, which wins over all, the rest to `path`."""
        if self.path[0] != "blocks":
            return ((self.path, self.value),)
        return tuple(divided(self.path, self.value))

    @cached_property
    def data(self) -> Any:
        """A spec with nothing but the value in it; positions in lists are whole numbers as keys."""
        whole: dict[str | int, Any] = {}
        for path, data in self.parts:
            for key in reversed(path):
                data = {key: data}
            whole = merge(whole, data)
        return whole

    def place(self, path: Path, key: bool = False) -> Place:
        """The value or a part of it, or the part of the left side that names `path`."""
        path = self.written(path)
        if len(path) > len(self.path) or (len(path) == len(self.path) and not key):
            return self.shifted(self.document.place(("value", *path[len(self.path) :]), key))
        first, last = (len(path) - 1, len(path)) if path else (0, len(self.keys))
        start = sum(len(each) + 1 for each in self.keys[:first])
        return Place(FILE, 1, start + 1, len(".".join(self.keys[first:last])), self.text)

    def scalar_place(self, path: Path, start: int, width: int) -> Place:
        """A stretch inside a string of the value."""
        path = self.written(path)
        inside = ("value", *path[len(self.path) :])
        return self.shifted(self.document.scalar_place(inside, start, width))

    def written(self, path: Path) -> Path:
        """A key path of `final` as it was written."""
        return ("blocks", *path[1:]) if path[:1] == ("final",) and self.path[0] == "blocks" else path

    def shifted(self, place: Place) -> Place:
        """A place in the document of the value as one in the whole text."""
        begin = len(".".join(self.keys)) + 2
        if place.line > 1 or place.column <= len(_LEAD):
            return Place(FILE, 1, begin, max(1, len(self.text) - begin + 1), self.text)
        return replace(place, column=place.column - len(_LEAD) - 1 + begin, text=self.text)


def read_assignment(text: str, spec: Any) -> Assignment:
    """What `text` assigns in the data of a spec.  Raises SpecError."""
    path, equals, value = text.partition("=")
    keys = tuple(whole_names(path.strip().split(".")))
    whole = Place(FILE, 1, 1, max(1, len(text)), text)
    if not equals or not all(keys) or not value.strip():
        hint = (
            f"to take the value away write {path}=null" if equals and all(keys) else "for example layers=16"
        )
        hint = "write '=' for '＝'" if "＝" in path else hint
        fail(SpecError, "E317", f"{text!r} is not path=value", place=whole, hint=hint)
    if len(keys) > MOST_KEYS:
        message = f"{len(keys):,} keys deep, where {MOST_KEYS} are the most"
        fail(SpecError, "E318", message, place=whole, hint="for example blocks.swa.rope.theta=1e6")
    try:
        document = read_document(_LEAD + value, FILE)
    except SpecError as error:
        bare = Assignment(text, keys, keys, read_document(_LEAD + "null", FILE))
        problems = (
            replace(p, path=dotted(keys), place=bare.shifted(p.place or whole)) for p in error.problems
        )
        raise SpecError(*problems) from None
    return Assignment(text, keys, target(keys, spec, whole), document)


def whole_names(keys: list[str]) -> list[str]:
    """The same keys with the name of an adapter, or of what `init` draws, as one: these have dots of their own."""
    if keys[:1] == ["init"]:
        begin, fields = 1, Draw.model_fields
    elif keys[:1] == ["blocks"] and keys[2:3] == ["adapters"]:
        begin, fields = 3, Adapter.model_fields
    else:
        return keys
    end = len(keys) - (keys[-1] in fields)
    return [*keys[:begin], *filter(None, [".".join(keys[begin:end])]), *keys[end:]]


def target(keys: tuple[str, ...], spec: Any, place: Place) -> Path:
    """The key path that the left side means."""
    path: list[str | int] = []
    for key in keys:
        if isinstance(spec, list):
            path.append(position(key, path, spec, place))
            spec = spec[int(key)]
        else:
            path.append(key)
            spec = spec.get(key) if isinstance(spec, dict) else None
    if (
        path[0] == "blocks"
        and path[2:]
        and path[2] not in ENTRY
        and any(isinstance(key, int) for key in path)
    ):
        fail(
            SpecError,
            "E318",
            "one entry of an option cannot be set",
            place=place,
            path=dotted(keys),
            hint="assign the whole list: [1.0, 2.0]",
        )
    return tuple(path)


def divided(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """The value at a key path of `blocks`: what an entry has goes there, options of its kind to `final`."""
    if len(path) > 2:
        yield path if path[2] in ENTRY else ("final", *path[1:]), value
    elif not isinstance(value, dict) or not value:
        yield path, value
    elif len(path) == 1:
        for name, entry in value.items():
            yield from divided((*path, name), entry)
    else:
        own = {key: each for key, each in value.items() if key in ENTRY}
        options = {key: each for key, each in value.items() if key not in ENTRY}
        yield from ((at, data) for at, data in ((path, own), (("final", *path[1:]), options)) if data)


def position(key: str, path: list[str | int], entries: list[Any], place: Place) -> int:
    """The position in a list that a key is."""
    if key.isdecimal() and key.isascii() and len(key) < 9 and int(key) < len(entries):
        return int(key)
    before = sum(len(str(part)) + 1 for part in path)
    place = replace(place, column=before + 1, width=len(key))
    message = f"{dotted(tuple(path))} is a list of {len(entries)}, and {key!r} is no position in it"
    hint = (
        f"positions go from 0 to {len(entries) - 1}" if entries else "the list is empty; assign it as a whole"
    )
    fail(SpecError, "E318", message, place=place, path=dotted((*path, key)), hint=hint)


def assigned(data: Any, path: Path, value: Any) -> Any:
    """`data` with `value` laid on what stands at `path`; nothing is changed in place."""
    if not path:
        return merge(data, value)
    key, rest = path[0], path[1:]
    if isinstance(data, list) and isinstance(key, int):
        return [*data[:key], assigned(data[key], rest, value), *data[key + 1 :]]
    base = data if isinstance(data, dict) else {}
    return {**base, key: assigned(base.get(key), rest, value)}
