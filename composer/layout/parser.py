"""From text to the tree of an expression.

ternary   = coalesce [ "if" coalesce "else" ternary ]
coalesce  = or { "??" or }                       the first that is neither absent nor null
or, and, not, comparison (one of == != < <= > >= in), + -, * / // %, unary -, **
postfix   = atom { "." NAME | "[" ternary "]" }
atom      = NUMBER | STRING | NAME | CALL "(" ternary, ... ")" | "(" ternary ")" | "[" ternary, ... "]"
          | "[" ternary "for" NAME "in" coalesce [ "if" coalesce ] "]" | "{" ternary ":" ternary, ... "}"
CALL      = len | min | max | round | range | cycle      cycle(words): the `pattern` and `remainder` of a list of words
          | whole | listed                       a whole number, written in digits or as text; a list, or one of a value
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from .tree import ExpressionProblem, Node

MOST_CHARACTERS = 500
MOST_DEPTH = 40
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?)|(?P<string>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\?\?|==|!=|<=|>=|//|\*\*|[-+*/%<>().,:\[\]{}])|(?P<end>$))"
)
_WORDS = frozenset({"if", "else", "and", "or", "not", "in", "for"})
_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
CALLS = ("len", "min", "max", "round", "range", "cycle", "whole", "listed")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")
_LEVELS = (("+", "-"), ("*", "/", "//", "%"))


def parse(text: str) -> Node:
    """The tree of a text.  Raises `ExpressionProblem`."""
    if len(text) > MOST_CHARACTERS:
        raise ExpressionProblem(f"an expression has at most {MOST_CHARACTERS} characters", 0, 1)
    parser = _Parser(text)
    root = parser.ternary()
    if parser.token != "":
        parser.stop(f"{parser.token!r} cannot stand here")
    return root


class _Parser:
    """Recursive descent; `token` is what comes next, '' at the end."""

    def __init__(self, text: str) -> None:
        self.text, self.depth, self.end, self.loops = text, 0, 0, 0
        self.take()

    def take(self) -> str:
        """Step over the token and return it."""
        taken = getattr(self, "token", "")
        self.before = self.end
        found = _TOKEN.match(self.text, self.end)
        if found is None:
            at = len(self.text) - len(self.text[self.end :].lstrip())
            raise ExpressionProblem(f"{self.text[at]!r} means nothing here", at)
        self.kind = str(found.lastgroup)
        self.token = found[self.kind]
        self.start, self.end = found.span(self.kind)
        return taken

    def stop(self, message: str) -> NoReturn:
        raise ExpressionProblem(message, self.start, max(1, self.end - self.start))

    def expect(self, token: str) -> None:
        if self.token != token:
            self.stop(
                f"expected {token!r}" + (f", found {self.token!r}" if self.token else " before the end")
            )
        self.take()

    def node(self, what: str, start: int, *parts: Any) -> Node:
        return Node(what, parts, start, self.before)

    def ternary(self) -> Node:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            self.stop("nested too deeply")
        start, value = self.start, self.coalesce()
        if self.token == "if":
            self.take()
            condition = self.coalesce()
            self.expect("else")
            value = self.node("if", start, condition, value, self.ternary())
        self.depth -= 1
        return value

    def chain(self, signs: tuple[str, ...], inner: Callable[[], Node]) -> Node:
        """Operators of one level, grouped from the left."""
        start, value = self.start, inner()
        while self.token in signs:
            sign = self.take()
            value = self.node(sign, start, value, inner())
        return value

    def coalesce(self) -> Node:
        return self.chain(("??",), lambda: self.chain(("or",), lambda: self.chain(("and",), self.negation)))

    def negation(self) -> Node:
        start, count = self.start, 0
        while self.token == "not" and count < MOST_DEPTH:
            self.take()
            count += 1
        value = self.comparison()
        for _ in range(count):
            value = self.node("not", start, value)
        return value

    def comparison(self) -> Node:
        start, value = self.start, self.arithmetic(0)
        if self.token in _COMPARISONS:
            sign = self.take()
            value = self.node(sign, start, value, self.arithmetic(0))
        return value

    def arithmetic(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self.power()
        return self.chain(_LEVELS[level], lambda: self.arithmetic(level + 1))

    def power(self) -> Node:
        start, minus = self.start, self.token == "-"
        if minus:
            self.take()
        value = self.postfix()
        if self.token == "**":
            self.take()
            value = self.node("**", start, value, self.power_of())
        return self.node("minus", start, value) if minus else value

    def power_of(self) -> Node:
        start, minus = self.start, self.token == "-"
        if minus:
            self.take()
        value = self.postfix()
        return self.node("minus", start, value) if minus else value

    def postfix(self) -> Node:
        start, value = self.start, self.atom()
        while self.token in (".", "["):
            if self.take() == ".":
                if self.kind != "name":
                    self.stop("expected a name behind the dot")
                key = self.take()
                value = self.node(".", start, value, key)
            else:
                inside = self.ternary()
                self.expect("]")
                value = self.node("[", start, value, inside)
        return value

    def atom(self) -> Node:
        start, kind = self.start, self.kind
        if kind == "end":
            self.stop("expected a value before the end")
        token = self.take()
        if kind == "number":
            return self.node("constant", start, float(token) if set(token) & set(".eE") else int(token))
        if kind == "string":
            return self.node("constant", start, token[1:-1])
        if kind == "name":
            return self.named(token, start)
        if token == "(":
            value = self.ternary()
            self.expect(")")
            return value
        if token == "[":
            return self.listed(start)
        if token == "{":
            return self.node("mapping", start, *self.items("}", self.pair))
        raise ExpressionProblem(f"expected a value, found {token!r}", start, len(token))

    def named(self, word: str, start: int) -> Node:
        if word in _WORDS:
            raise ExpressionProblem(f"expected a value, found {word!r}", start, len(word))
        if word in _CONSTANTS:
            return self.node("constant", start, _CONSTANTS[word])
        if self.token == "(":
            if word not in CALLS:
                raise ExpressionProblem(f"only {', '.join(CALLS)} can be called", start, len(word))
            self.take()
            return self.node("call", start, word, *self.items(")"))
        return self.node("name", start, word)

    def listed(self, start: int) -> Node:
        """What follows a bracket: items, or one item for each of another list; loops have no loops inside."""
        if self.token == "]":
            return self.node("list", start, *self.items("]"))
        loops, first = self.loops, self.ternary()
        if self.token != "for":
            return self.node("list", start, *self.items("]", found=[first]))
        self.take()
        if self.kind != "name" or self.token in (*_WORDS, *_CONSTANTS, *CALLS):
            self.stop("expected a name behind 'for'")
        name = self.take()
        self.expect("in")
        source, condition = self.coalesce(), None
        if self.token == "if":
            self.take()
            condition = self.coalesce()
        if self.loops > loops:
            self.stop("a list that is made from a list cannot hold another such list")
        self.loops += 1
        self.expect("]")
        return self.node("for", start, first, name, source, condition)

    def items(
        self, closing: str, item: Callable[[], Node] | None = None, found: Iterable[Node] = ()
    ) -> list[Node]:
        found = list(found)
        while self.token != closing:
            if found:
                self.expect(",")
            found.append((item or self.ternary)())
        self.take()
        return found

    def pair(self) -> Node:
        start, key = self.start, self.ternary()
        self.expect(":")
        return self.node("pair", start, key, self.ternary())
