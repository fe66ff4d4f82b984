"""YAML text to a Document, guarded: limits are checked on parse events, before anything is expanded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from composer.errors import Problem, SpecError, dotted
from composer.source.document import Document, Lines, Node
from composer.source.scalars import BadScalar, resolve
from composer.source.syntax import syntax_problem

MAX_CHARACTERS = 2**20
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_ALIASES = 1_000
MAX_SHOWN = 50

# Control characters, line and paragraph separators, byte order marks, halves of surrogate pairs.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_ESCAPED = re.compile("[\x00\ud800-\udfff]")


def read_document(text: str, name: str) -> Document:
    """Read one YAML document; `name` is what errors call it.

    Raises SpecError with everything that is wrong with it as YAML: syntax, tags, duplicate and non-string
    keys, numbers that are not finite, merge keys, undefined or recursive anchors, and sizes over the limits.
    """
    lines = Lines(text.removeprefix("\ufeff"), name)
    if len(lines.text) > MAX_CHARACTERS:
        raise SpecError(Problem("E102", f"{name} is larger than 1 MiB"))
    _check_characters(lines)
    return _Reader(lines).read()


def _check_characters(lines: Lines) -> None:
    problems = [
        Problem("E104", f"character U+{ord(match.group()):04X} is not allowed", lines.place(*match.span()))
        for match in _FORBIDDEN.finditer(lines.text)
    ]
    if problems:
        raise SpecError(*_shown(problems))


def _shown(problems: list[Problem]) -> list[Problem]:
    """The problems to raise: the first ones, and how many more there are."""
    more = len(problems) - MAX_SHOWN
    if more <= 0:
        return problems
    return [*problems[:MAX_SHOWN], Problem("E116", f"{more:,} more problems are not shown")]


@dataclass(slots=True)
class _Open:
    """A collection that is being read, the anchor it will get, and the keys seen so far."""

    node: Node
    key: Node | None = None
    keys: dict[str, Node] = field(default_factory=dict)

    @property
    def wants_key(self) -> bool:
        return self.node.kind == "mapping" and self.key is None

    def part(self) -> str | int | None:
        """The part of the key path that is being read."""
        if self.node.kind == "list":
            return len(self.node.value)
        return str(self.key.value) if self.key else None


class _Reader:
    """Builds nodes from parse events with a stack of its own: no recursion, so no input can exhaust it."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.problems: list[Problem] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.open_anchors: set[int] = set()
        self.root: Node | None = None
        self.nodes = self.aliases = self.documents = 0

    def read(self) -> Document:
        loader = yaml.SafeLoader(self.lines.text)
        try:
            while loader.check_event():
                self._take(loader.get_event())
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self.problems.append(syntax_problem(error, self.lines, loader.index))
            self._raise()
        finally:
            loader.dispose()
        root = self.root
        if root is None or root.kind == "scalar" and root.value is None and not root.style:
            self._note("E106", f"{self.lines.name} is empty", 0, 1)
        if self.problems or root is None:
            self._raise()
        return Document(self.lines.name, self.lines.text, root.plain(), root, self.lines)

    def _raise(self) -> NoReturn:
        raise SpecError(*_shown(self.problems)) from None

    def _note(self, code: str, message: str, start: int, end: int, hint: str = "") -> None:
        parts = [part for each in self.stack if (part := each.part()) is not None]
        place = self.lines.place(start, end)
        self.problems.append(Problem(code, message, place, dotted(tuple(parts)), hint=hint))

    def _stop(self, code: str, message: str, event: yaml.Event, hint: str = "") -> NoReturn:
        """A problem after which reading on is pointless or dangerous."""
        self._note(code, message, event.start_mark.index, event.end_mark.index, hint)
        self._raise()

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._stop("E107", "a second document begins here", event, "write one document in a file")
        elif isinstance(event, yaml.NodeEvent):
            self._count(event)
            self._take_node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)

    def _take_node(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._tag(event)
            self._add(self._anchor(event, self._scalar(event)))
        else:
            self._tag(event)
            kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"
            node = Node(kind, [], *_span(event), style="flow" if event.flow_style else "")
            self.open_anchors.add(id(self._anchor(event, node)))
            self.stack.append(_Open(node))

    def _count(self, event: yaml.NodeEvent) -> None:
        self.nodes += 1
        self.aliases += isinstance(event, yaml.AliasEvent)
        if self.aliases > MAX_ALIASES:
            self._stop("E108", f"more than {MAX_ALIASES:,} aliases", event)
        self._check_size(event, 0, 1)

    def _check_size(self, event: yaml.NodeEvent, more: int, height: int) -> None:
        self.nodes += more
        if self.nodes > MAX_NODES:
            self._stop("E108", f"more than {MAX_NODES:,} values, aliases expanded", event)
        if len(self.stack) + height > MAX_DEPTH + 1:
            self._stop("E108", f"nested more than {MAX_DEPTH} deep", event)

    def _tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            hint = "quote a value that is a string; types come from the option"
            self._note("E109", f"tag {_tag_name(event.tag)!r} is not allowed", *_span(event), hint)

    def _anchor(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, node: Node) -> Node:
        if event.anchor in self.anchors:
            line = self.lines.place(self.anchors[event.anchor].start, 0).line
            self._note("E114", f"anchor '&{event.anchor}' is already set in line {line}", *_span(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            hint = "quote a value that starts with '*'"
            self._note("E114", f"alias '*{event.anchor}' has no anchor", *_span(event), hint)
        elif id(node) in self.open_anchors:
            self._note("E114", f"alias '*{event.anchor}' stands inside its own anchor", *_span(event))
            node = None
        else:
            self._check_size(event, node.size - 1, node.height)
        self._add(node or Node("scalar", "", *_span(event)))

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        node = Node("scalar", event.value, *_span(event), style=event.style or "")
        if event.style is None:
            node.value = self._resolved(event)
        elif _ESCAPED.search(event.value):
            self._note("E104", "a string with a NUL or half a surrogate pair", node.start, node.end)
        return node

    def _resolved(self, event: yaml.ScalarEvent) -> object:
        try:
            return resolve(event.value)
        except BadScalar as bad:
            self._note(bad.code, bad.message, *_span(event), bad.hint)
            return event.value

    def _close(self, event: yaml.CollectionEndEvent) -> None:
        node = self.stack.pop().node
        node.end = event.end_mark.index
        below = [each for pair in node.value for each in pair] if node.kind == "mapping" else node.value
        node.size += sum(each.size for each in below)
        node.height += max((each.height for each in below), default=0)
        self.open_anchors.discard(id(node))
        self._add(node)

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if top.wants_key:
            self._check_key(top, node)
            top.key = node
        elif top.key is not None:
            top.node.value.append((top.key, node))
            top.key = None
        else:
            top.node.value.append(node)

    def _check_key(self, top: _Open, key: Node) -> None:
        if not isinstance(key.value, str):
            shown = self.lines.text[key.start : key.end] if key.kind == "scalar" else f"a {key.kind}"
            message = f"a key must be a string, found {shown or 'nothing'}"
            self._note("E111", message, key.start, key.end, "quote it")
            key.value = f"\0{key.start}"
        elif key.value == "<<" and not key.style:
            hint = "use 'extends', or an alias for a whole value"
            self._note("E115", "merge keys are not supported", key.start, key.end, hint)
        elif key.value in top.keys:
            line = self.lines.place(top.keys[key.value].start, 0).line
            self._note("E110", f"duplicate key {key.value!r}, first set in line {line}", key.start, key.end)
        top.keys.setdefault(key.value, key)


def _span(event: yaml.Event) -> tuple[int, int]:
    return event.start_mark.index, event.end_mark.index


def _tag_name(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:100]
