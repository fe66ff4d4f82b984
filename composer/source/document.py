"""A YAML document that was read: its plain data, and where in the text every part of it stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from composer.errors import Path, Place

_BLANK = " \t\r\n"
# A unit of a scalar that becomes at most one character: an escape, a doubled quote, or the character itself.
_DOUBLE = re.compile(r"\\(?:x.{2}|u.{4}|U.{8}|\r\n|.)|.", re.DOTALL)
_SINGLE = re.compile(r"''|.", re.DOTALL)
_PLAIN = re.compile(r".", re.DOTALL)


@dataclass(slots=True, eq=False)
class Node:
    """One value of the text. `start` and `end` are character offsets, `style` is the quote or `|` or `>`.

    `value` is a scalar, a list of nodes, or a list of (key, value) nodes. `size` counts the values
    in it and `height` the collections it nests, both with aliases expanded.
    """

    kind: str
    value: Any
    start: int
    end: int
    style: str = ""
    size: int = 1
    height: int = 0
    pairs: dict[str, tuple[Node, Node]] | None = None

    def plain(self) -> Any:
        """The value as fresh dicts, lists and scalars."""
        if self.kind == "mapping":
            return {key.value: value.plain() for key, value in self.value}
        return [item.plain() for item in self.value] if self.kind == "list" else self.value

    def child(self, part: str | int) -> tuple[Node | None, Node] | None:
        """The (key, value) nodes under one part of a key path, or None."""
        if self.kind == "mapping":
            if self.pairs is None:  # made when it is first asked for: most mappings never are
                self.pairs = {pair[0].value: pair for pair in self.value}
            return self.pairs.get(part) if isinstance(part, str) else None
        inside = self.kind == "list" and isinstance(part, int) and 0 <= part < len(self.value)
        return (None, self.value[part]) if inside else None


class Lines:
    """The lines of a text, to turn character offsets into places."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def place(self, start: int, end: int) -> Place:
        """The stretch from `start` to `end`, or to the end of the line where `start` is."""
        start = min(start, len(self.text))
        line = bisect_right(self.starts, start) - 1
        begin = self.starts[line]
        stop = self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)
        shown = self.text[begin:stop].rstrip("\r\n")
        width = min(end, begin + len(shown.rstrip())) - start
        return Place(self.name, line + 1, start - begin + 1, max(1, width), shown)


@dataclass(eq=False)
class Document:
    """A document that was read.

    `data` is plain Python, `text` the source as it was given, `name` what errors call it.
    """

    name: str
    text: str = field(repr=False)
    data: Any
    root: Node = field(repr=False)
    lines: Lines = field(repr=False)
    # Patterns are long and asked about word by word: what `_aligned` gave for a node, by its id.
    _found: dict[int, list[int] | None] = field(default_factory=dict, repr=False)

    def place(self, path: Path, key: bool = False) -> Place:
        """Where the value at `path` stands, or its key; if absent, the key of the nearest ancestor."""
        name, node, found = self._walk(path)
        if name is not None and (key or not found):
            return self.lines.place(name.start, name.end)
        first = _first(node)
        return self.lines.place(first.start, first.end)

    def scalar_place(self, path: Path, start: int, width: int) -> Place:
        """Where characters `start` to `start + width` of the string at `path` stand, however it is written.

        Falls back to the start of the value where the two cannot be aligned.
        """
        node = self.node(path)
        offsets = self._offsets(node) if node and isinstance(node.value, str) else None
        if offsets is None:
            return self.place(path)
        last = start + max(1, width) - 1
        return self.lines.place(_offset(offsets, start), _offset(offsets, last) + 1)

    def node(self, path: Path) -> Node | None:
        """The node at `path`, or None if it is absent."""
        _, node, found = self._walk(path)
        return node if found else None

    def _walk(self, path: Path) -> tuple[Node | None, Node, bool]:
        """The deepest (key, value) that exists along `path`, and whether that is all of it."""
        name, node = None, self.root
        for part in path:
            step = node.child(part)
            if step is None:
                return name, node, False
            name, node = step
        return name, node, True

    def _offsets(self, node: Node) -> list[int] | None:
        """What `_aligned` gives, looked for once a node."""
        if id(node) not in self._found:
            self._found[id(node)] = self._aligned(node)
        return self._found[id(node)]

    def _aligned(self, node: Node) -> list[int] | None:
        """The offset in the text of each character of a scalar.

        Folding changes white space only, so the n-th visible character of the value is the n-th of the
        source; white space stands right after the visible character before it.
        """
        visible = self._visible(node)
        if len(visible) != sum(c not in _BLANK for c in node.value):
            return None
        offsets, places, after = [], iter(visible), visible[0] if visible else node.start
        for c in node.value:
            after = after if c in _BLANK else next(places)
            offsets.append(after)
            after += c != "\n"
        return [*offsets, after]

    def _visible(self, node: Node) -> list[int]:
        """Offsets of a scalar's visible characters in the source, quotes and headers left out."""
        start, end, units = node.start, node.end, _PLAIN
        if node.style in ("'", '"'):
            start, end, units = start + 1, end - 1, _SINGLE if node.style == "'" else _DOUBLE
        elif node.style:
            start = self.lines.starts[bisect_right(self.lines.starts, start)]
        found = units.finditer(self.lines.text, start, end)
        return [unit.start() for unit in found if not _is_blank(unit.group())]


def _first(node: Node) -> Node:
    """What to point at for a value: itself, or the first key or item of a collection in block style."""
    while node.kind != "scalar" and node.style != "flow" and node.value:
        node = node.value[0][0] if node.kind == "mapping" else node.value[0]
    return node


def _offset(offsets: list[int], index: int) -> int:
    return offsets[min(index, len(offsets) - 1)]


def _is_blank(unit: str) -> bool:
    """Whether a unit of a scalar's source becomes white space, or nothing."""
    if len(unit) > 2 and unit[1] in "xuU":
        return chr(int(unit[2:], 16)) in _BLANK
    return unit in _BLANK or unit in ("\\n", "\\r", "\\t", "\\ ", "\\\t", "\\\n", "\\\r", "\\\r\n")
