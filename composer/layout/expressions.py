"""The small language of family files: values of a configuration, arithmetic, choices; no code.

`absent` is the value of a key that is not there; only `??`, `==` and `!=` take it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import SpecError
from ..source.invalid import shown
from .lists import cycle, joined, listed, numbers_below, whole
from .parser import parse
from .tree import ABSENT, Absent, ExpressionProblem, Node

_CALLS: Mapping[str, Callable[..., Any]] = {
    "len": len, "min": min, "max": max, "round": round, "range": numbers_below, "cycle": cycle,
    "whole": whole, "listed": listed,
}  # fmt: skip
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow,
}  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """A text that was parsed."""

    text: str
    root: Node

    def value(self, names: Mapping[str, Any]) -> Any:
        """Its value where `names` are plain data.  Raises `ExpressionProblem`."""
        return _Evaluation(self.text, names).value(self.root)

    def present(self, names: Mapping[str, Any]) -> Any:
        """Its value, which may be missing only where the text says `absent`.  Raises `ExpressionProblem`."""
        value = self.value(names)
        if isinstance(value, Absent) and value != ABSENT:
            raise ExpressionProblem(f"{value.name} is not there", 0, len(self.text))
        return value

    def keys_of(self, name: str) -> set[str]:
        """Every K that the text reads as `name.K`."""
        return set(_keys(self.root, name))

    def names(self) -> Iterator[str]:
        """Every name in it, in order."""
        return _names(self.root)


def parse_expression(text: str) -> Expression:
    """Raises `ExpressionProblem`."""
    return Expression(text, parse(text))


def _keys(node: Any, name: str) -> Iterator[str]:
    if not isinstance(node, Node):
        return
    if node.what == "." and node.parts[0].what == "name" and node.parts[0].parts == (name,):
        yield node.parts[1]
    for part in node.parts:
        yield from _keys(part, name)


def _names(node: Any) -> Iterator[str]:
    if not isinstance(node, Node):
        return
    if node.what == "name":
        yield str(node.parts[0])
    for part in node.parts:
        yield from _names(part)


class _Evaluation:
    """One walk over a tree; every problem points at the part of the text that caused it."""

    def __init__(self, text: str, names: Mapping[str, Any]) -> None:
        self.text, self.names = text, names

    def stop(self, node: Node, message: str) -> NoReturn:
        raise ExpressionProblem(message, node.start, node.end - node.start)

    def present(self, node: Node) -> Any:
        """The value of a part that must be there."""
        value = self.value(node)
        if isinstance(value, Absent):
            self.stop(node, f"{value.name} is not there")
        return value

    def value(self, node: Node) -> Any:
        parts = node.parts
        match node.what:
            case "constant":
                return parts[0]
            case "name":
                return self.name(node, parts[0])
            case ".":
                return self.key(node, self.value(parts[0]), parts[1])
            case "[":
                return self.item(node, self.present(parts[0]), self.present(parts[1]))
            case "list":
                return [self.present(part) for part in parts]
            case "mapping":
                return dict(map(self.pair, parts))
            case "for":
                return list(self.loop(node))
            case "??":
                first = self.value(parts[0])
                return self.value(parts[1]) if first is None or isinstance(first, Absent) else first
            case "if":
                return self.value(parts[1] if self.truth(parts[0]) else parts[2])
            case "and" | "or":
                first = self.truth(parts[0])
                return first if first == (node.what == "or") else self.truth(parts[1])
            case "not":
                return not self.truth(parts[0])
            case "==" | "!=":
                return _same(self.value(parts[0]), self.value(parts[1])) == (node.what == "==")
            case _:
                return self.operation(node)

    def pair(self, node: Node) -> tuple[str, Any]:
        """A key and its value."""
        key = self.present(node.parts[0])
        if not isinstance(key, str):
            self.stop(node.parts[0], f"{shown(key)} cannot be a key")
        return key, self.present(node.parts[1])

    def loop(self, node: Node) -> Iterator[Any]:
        """One value for each item of a list that fulfils the condition."""
        item, name, source, condition = node.parts
        values = self.present(source)
        if not isinstance(values, list):
            self.stop(source, f"{self.text[source.start : source.end]} is {shown(values)}, not a list")
        for value in values:
            inner = _Evaluation(self.text, {**self.names, name: value})
            if condition is None or inner.truth(condition):
                yield inner.present(item)

    def name(self, node: Node, word: str) -> Any:
        if word == "absent":
            return ABSENT
        if word not in self.names:
            self.stop(node, f"{word!r} is not a name here; there are: {', '.join(self.names)}")
        return self.names[word]

    def key(self, node: Node, value: Any, key: str) -> Any:
        if isinstance(value, Mapping):
            return value.get(key, Absent(self.text[node.start : node.end]))
        if value is None or isinstance(value, Absent):
            return Absent(self.text[node.start : node.end])
        self.stop(
            node, f"{self.text[node.parts[0].start : node.parts[0].end]} is {shown(value)} and has no keys"
        )

    def item(self, node: Node, value: Any, at: Any) -> Any:
        fits = (isinstance(value, list) and _is_number(at)) or (
            isinstance(value, Mapping) and isinstance(at, str)
        )
        try:
            return value[at] if fits else self.stop(node, "only lists and mappings have items")
        except (LookupError, TypeError):
            return Absent(self.text[node.start : node.end])

    def truth(self, node: Node) -> bool:
        value = self.present(node)
        if not isinstance(value, bool):
            self.stop(node, f"{self.text[node.start : node.end]} is {shown(value)}, not true or false")
        return value

    def operation(self, node: Node) -> Any:
        """Comparison, membership, arithmetic and calls, over values that are there."""
        if node.what == "call":
            word, values = node.parts[0], [self.present(part) for part in node.parts[1:]]
        else:
            word, values = node.what, [self.present(part) for part in node.parts]
        try:
            return self.apply(node, word, values)
        except (TypeError, ValueError, ArithmeticError, SpecError):
            given = ", ".join(map(shown, values)) or "nothing"
            self.stop(node, f"{self.text[node.start : node.end]}: {word} cannot be applied to {given}")

    def apply(self, node: Node, word: str, values: list[Any]) -> Any:
        if node.what == "call":
            return _CALLS[word](*values)
        if word == "in":
            return any(_same(values[0], value) for value in values[1])
        if word in _COMPARISONS:
            return _COMPARISONS[word](*values)
        if word in ("+", "*") and isinstance(values[0], list):
            return joined(word, *values)
        if not all(map(_is_number, values)) or (word == "**" and abs(values[1]) > 64):
            raise TypeError(word)
        result = -values[0] if word == "minus" else _ARITHMETIC[word](*values)
        if isinstance(result, complex) or abs(result) > 1e300:
            raise ValueError(word)
        return result


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(a: Any, b: Any) -> bool:
    """Equal and of one kind: true is not 1; what is absent equals only what is absent."""
    if isinstance(a, Absent) or isinstance(b, Absent):
        return isinstance(a, Absent) and isinstance(b, Absent)
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
