"""YAML text to a Document, guarded: limits are checked on parse events, before anything is expanded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import NoReturn

import yaml

from composer.errors import Problem, SpecError, dotted
from composer.source.document import Document, Lines, Node
from composer.source.scalars import BadScalar, resolve
from composer.source.syntax import MAX_SHOWN, not_shown, syntax_problem

MAX_CHARACTERS = 2**20
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_ALIASES = 1_000

# Control characters, line and paragraph separators, byte order marks, halves of surrogate pairs.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_ANCHOR = re.compile(r"&\S+\s*")
_ESCAPED = re.compile("[\x00\ud800-\udfff]")


def read_document(text: str, name: str) -> Document:
    """Read one YAML document; `name` is what errors call it.

    Raises SpecError with everything that is wrong with it as YAML: syntax, tags, duplicate and non-string
    keys, numbers that are not finite, merge keys, undefined or recursive anchors, and sizes over the limits.
    """
    lines = Lines(text.removeprefix("\ufeff"), name)
    if len(text) > MAX_CHARACTERS:
        raise SpecError(Problem("E102", f"{name} is larger than 1 MiB"))
    _check_characters(lines)
    root = _Reader(lines).read()
    return Document(name, text, root.plain(), root, lines)


def _check_characters(lines: Lines) -> None:
    found = _FORBIDDEN.finditer(lines.text)
    problems = [
        Problem("E104", f"character U+{ord(match.group()):04X} is not allowed", lines.place(*match.span()))
        for match in islice(found, MAX_SHOWN)
    ]
    if problems:
        raise SpecError(*problems, *not_shown(sum(1 for _ in found)))


def _shown(problems: list[Problem]) -> list[Problem]:
    """The problems to raise: the first ones, and how many more there are."""
    return [*problems[:MAX_SHOWN], *not_shown(len(problems) - MAX_SHOWN)]


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
        return None if self.key is None else self.key.value if self.key.kind == "scalar" else "?"


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

    def read(self) -> Node:
        """The root of the document."""
        loader = yaml.SafeLoader(self.lines.text)
        try:
            while loader.check_event():
                self._take(loader.get_event())  # type: ignore[no-untyped-call]  # so in its stubs
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self.problems.append(syntax_problem(error, self.lines, loader.index))
            self._raise()
        finally:
            loader.dispose()
        if self.root is None or self.root.value is None:
            self._note("E106", "there is nothing in this document", 0, 1)
        if self.root is None or self.problems:
            self._raise()
        return self.root

    def _raise(self) -> NoReturn:
        raise SpecError(*_shown(self.problems)) from None

    def _note(self, code: str, message: str, start: int, end: int, hint: str = "") -> None:
        parts = [part for each in self.stack if (part := each.part()) is not None]
        place = self.lines.place(start, end)
        self.problems.append(Problem(code, message, place, dotted(tuple(parts)), hint=hint))

    def _stop(self, code: str, message: str, event: yaml.Event, hint: str = "") -> NoReturn:
        """A problem after which reading on is pointless or dangerous."""
        self.problems.append(Problem(code, message, self.lines.place(*_span(event)), hint=hint))
        self._raise()

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._stop("E107", "a second document begins here", event, "write one document in a file")
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._check_size(event, 1, 0)
            self._add(self._named(event, self._scalar(event)))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check_size(event, 1, 1)
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"
        node = Node(kind, [], *self._extent(event), style="flow" if event.flow_style else "")
        self.open_anchors.add(id(self._named(event, node)))
        self.stack.append(_Open(node))

    def _check_size(self, event: yaml.NodeEvent, more: int, height: int) -> None:
        """Count values with aliases expanded, before they are."""
        self.nodes += more
        if self.nodes > MAX_NODES:
            self._stop("E108", f"more than {MAX_NODES:,} values, aliases expanded", event)
        if len(self.stack) + height > MAX_DEPTH:
            self._stop("E108", f"nested more than {MAX_DEPTH} deep", event)

    def _extent(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> tuple[int, int]:
        """Where the value itself stands, without its anchor."""
        start, end = _span(event)
        anchor = _ANCHOR.match(self.lines.text, start, end)
        return (anchor.end() if anchor else start), end

    def _named(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, node: Node) -> Node:
        """The node, remembered under its anchor; a tag is refused."""
        name, span = event.anchor, _span(event)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")[:100]
            self._note("E109", f"tag {tag!r} is not allowed", *span, "quote a value that is a string")
        if name in self.anchors:
            line = self.lines.place(self.anchors[name].start, 0).line
            self._note("E114", f"anchor '&{name}' is already set in line {line}", *span, "rename it")
        if name is not None:
            self.anchors[name] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            self._stop("E108", f"more than {MAX_ALIASES:,} aliases", event)
        node = self.anchors.get(event.anchor or "")
        if node is None:
            hint = "quote a value that starts with '*'"
            self._note("E114", f"alias '*{event.anchor}' has no anchor", *_span(event), hint)
        elif id(node) in self.open_anchors:
            self._note("E114", f"alias '*{event.anchor}' stands inside its own anchor", *_span(event))
            node = None
        else:
            self._check_size(event, node.size, node.height)
        self._add(node or Node("scalar", "", *_span(event)))

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        node = Node("scalar", event.value, *self._extent(event), style=event.style or "")
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
        node.end = _span(event)[1]
        below = [each for pair in node.value for each in pair] if node.kind == "mapping" else node.value
        node.size += sum(each.size for each in below)
        node.height = 1 + max((each.height for each in below), default=0)
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
            shown = f"a {key.kind}" if key.kind != "scalar" else self.lines.text[key.start : key.end]
            message = f"a key must be a string, found {shown or 'nothing'}"
            self._note("E111", message, key.start, key.end, "quote it")
            return
        elif key.value == "<<" and not key.style:
            hint = "use 'extends', or an alias for a whole value"
            self._note("E115", "merge keys are not supported", key.start, key.end, hint)
        elif key.value in top.keys:
            line = self.lines.place(top.keys[key.value].start, 0).line
            message = f"duplicate key {key.value[:60]!r}, first set in line {line}"
            self._note("E110", message, key.start, key.end)
        top.keys.setdefault(key.value, key)


def _span(event: yaml.Event) -> tuple[int, int]:
    """The offsets of an event; the parser always sets its marks."""
    start, end = event.start_mark, event.end_mark
    return (start.index if start else 0), (end.index if end else 0)
