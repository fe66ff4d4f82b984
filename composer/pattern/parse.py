"""A layer pattern from text: tokens, then one function for each line of the grammar.

    pattern = term { "," term } [ "," ]
    term    = run { "+" block }                     "+" rides on the last layer of the run
    run     = atom [ ( "×" | "*" | "x" ) count ]
    atom    = block | "(" pattern ")"
    block   = NAME [ "(" key "=" value { "," key "=" value } ")" ]      the "(" touches the name
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NoReturn

from composer.errors import Place, Problem, SpecError
from composer.pattern.letters import foreign, replaced
from composer.pattern.words import Group, Locate, Pattern, Term, Word, length
from composer.source import BadScalar, Scalar, resolve

MAX_LAYERS = 10_000
MAX_CHARACTERS = 16_384
MAX_DEPTH = 32

_TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*)
      | (?P<number>[0-9]+) | (?P<mark>[,+()×*=]) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_RESERVED = re.compile(r"x[0-9]*|rest")
_KEY = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*")
_VALUE = re.compile(
    r"""'(?P<single>[^'\n]*)' | "(?P<double>[^"\n]*)"
      | (?P<bare>[-+]?(?:[0-9]|\.[0-9])[A-Za-z0-9_.]*(?:(?<=[eE])[-+][0-9]+)? | [-+]?\.[A-Za-z]+ | [A-Za-z_][A-Za-z0-9_.-]*)""",
    re.VERBOSE,
)
_AFTER_VALUE = re.compile(r"\s*([,)]?)\s*")


@dataclass(frozen=True)
class Token:
    """A name, a number, a mark, another character, or the end (`kind` "end"), with its offsets."""

    kind: str
    text: str
    start: int
    end: int


def parse(text: str, locate: Locate | None = None, path: str = "pattern") -> Pattern:
    """Read a pattern. `locate(offset, width)` gives places for errors, by default in the text itself.

    Raises SpecError with every wrong character and every mistake in meaning up to the first mistake in form.
    """
    locate = locate or in_text(text)
    parser = _Parser(text, locate, path)
    terms = parser.read()
    if parser.problems:
        raise SpecError(*parser.problems)
    return Pattern(terms, text, locate)


def in_text(text: str, name: str = "<pattern>") -> Locate:
    """Places inside a text that stands in no file."""

    def locate(start: int, width: int) -> Place:
        line = text.count("\n", 0, start)
        begin = text.rfind("\n", 0, start) + 1
        shown = text[begin:].split("\n", 1)[0]
        return Place(name, line + 1, start - begin + 1, max(1, min(width, len(shown) - start + begin)), shown)

    return locate


class _Stop(Exception):
    """A mistake in form was noted; nothing after it can be trusted."""


class _Parser:
    def __init__(self, text: str, locate: Locate, path: str) -> None:
        self.text, self.locate, self.path = text, locate, path
        self.problems: list[Problem] = []
        self.depth = self.at = 0
        self.token = Token("end", "", 0, 0)

    def read(self) -> tuple[Term, ...]:
        try:
            self._characters()
            self._next(0)
            if self.token.kind == "end":
                self._stop("E202", "the pattern is empty", 0, 1, "write the name of a block")
            terms = self._pattern()
            if self.token.kind != "end":
                self._unexpected("',' or the end", "no '(' is open" if self.token.text == ")" else "")
            self._check_length(terms, 0, len(self.text))
        except _Stop:
            return ()
        return terms

    # ---------------------------------------------------------------- problems

    def _note(self, code: str, message: str, start: int, end: int, hint: str = "", **rest: str) -> None:
        place = self.locate(start, max(1, end - start))
        self.problems.append(Problem(code, message, place, self.path, hint, **rest))

    def _stop(self, code: str, message: str, start: int, end: int, hint: str = "", **rest: str) -> NoReturn:
        self._note(code, message, start, end, hint, **rest)
        raise _Stop

    def _unexpected(self, expected: str, hint: str = "") -> NoReturn:
        token = self.token
        found = repr(token.text) if token.kind != "end" else "the end"
        message = f"expected {expected}, found {found}"
        self._stop("E202", message, token.start, token.end, hint, expected=expected, found=found)

    def _characters(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            self._stop("E207", f"the pattern is longer than {MAX_CHARACTERS:,} characters", 0, 1)
        found = list(foreign(self.text))
        for each in found[:20]:
            self._note("E201", f"unexpected character {each.character!r}", each.at, each.at + 1, each.hint)
        if not all(each.meant for each in found):
            raise _Stop
        self.text = replaced(self.text, found)

    # ---------------------------------------------------------------- tokens

    def _next(self, at: int | None = None) -> Token:
        """Move to the next token and return the one before."""
        before, start = self.token, self.token.end if at is None else at
        match = _TOKEN.match(self.text, start)
        if match and match.lastgroup == "space":
            start = match.end()
            match = _TOKEN.match(self.text, start)
        if match and match.lastgroup:
            self.token = Token(match.lastgroup, match.group(), start, match.end())
        else:
            self.token = Token("end", "", start, start)
        return before

    # ---------------------------------------------------------------- grammar

    def _pattern(self) -> tuple[Term, ...]:
        terms = [self._term()]
        while self.token.text == ",":
            self._next()
            if self.token.kind == "end" or self.token.text == ")":
                break
            terms.append(self._term())
        return tuple(terms)

    def _term(self) -> Term:
        start = self.token.start
        atom = self._atom()
        count, end, _ = self._count(self.text[start : self.token.start])
        term = Term(atom, count, (), start, end)
        while self.token.text == "+":
            self._next()
            term = self._ride(term)
        self._check_length((term,), start, term.end)
        return term

    def _ride(self, term: Term) -> Term:
        """One guest after a "+"; a repeat behind it could belong to the guest or to the whole, so it is refused."""
        if self.token.text == "(":
            self._unexpected("the name of a guest", "a guest is one block: write a+b+c, not a+(b, c)")
        guest = self._block()
        before = self.text[term.start : guest.start].rstrip("+ \t\n")
        count, end, written = self._count("")
        if written:
            whole, host = self.text[term.start : guest.end], f"{before}×{count}{self.text[term.end:guest.end]}"
            other = f", or {_line(host)} to let it ride on the last" if term.count == 1 and not term.guests else ""
            hint = f"write ({_line(whole)})×{count} to repeat both{other}"
            self._note("E205", f"'{_line(self.text[term.start:end])}' is ambiguous", term.start, end, hint)
        return replace(term, guests=(*term.guests, guest), end=end)

    def _atom(self) -> Word | Group:
        return self._group() if self.token.text == "(" else self._block()

    def _group(self) -> Group:
        opened = self._next()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._stop("E207", f"parentheses are nested more than {MAX_DEPTH} deep", opened.start, opened.end)
        terms = self._pattern()
        if self.token.kind == "end":
            self._stop("E202", "this '(' is never closed", opened.start, opened.end, "write ')'")
        if self.token.text != ")":
            self._unexpected("',' or ')'")
        self._next()
        self.depth -= 1
        return Group(terms)

    def _count(self, atom: str) -> tuple[int, int, bool]:
        """An optional repeat: the count, where the run ends, and whether a repeat was written."""
        end = len(self.text[: self.token.start].rstrip())
        sign = self.token
        if sign.kind == "name" and re.fullmatch("x[0-9]*", sign.text):
            self._next(sign.start + 1)
        elif sign.text in ("×", "*"):
            self._next()
        else:
            return 1, end, False
        number = self.token
        if number.kind != "number":
            self._no_count(sign)
        self._next()
        if self.token.text in ("×", "*") or re.fullmatch("x[0-9]*", self.token.text):
            again = f"write ({_line(atom)}×{number.text})×…" if atom else ""
            self._unexpected("',' or '+'", again or "repeat once")
        return self._number(number), number.end, True

    def _no_count(self, sign: Token) -> NoReturn:
        if self.token.text == "rest":
            hint = "write the count, or a shorter pattern and `layers`"
            self._stop("E203", "'rest' is reserved", self.token.start, self.token.end, hint)
        hint = "write the repeat behind: name×6" if sign.text != "x" else ""
        self._unexpected("a whole number", hint if self.token.kind == "name" else "")

    def _number(self, token: Token) -> int:
        if token.text[0] == "0":
            message = "a count is at least 1" if set(token.text) == {"0"} else "a count does not start with 0"
            self._note("E204", f"{message}, found {token.text[:20]}", token.start, token.end)
            return 1
        return int(token.text[:20])

    def _check_length(self, terms: tuple[Term, ...], start: int, end: int) -> None:
        if (layers := length(terms)) > MAX_LAYERS:
            size = f"{layers:,}" if layers < 10**15 else "far"
            message = f"{size} layers: more than {MAX_LAYERS:,}" if size != "far" else f"far more than {MAX_LAYERS:,} layers"
            self._stop("E206", message, start, end, found=str(layers)[:40])

    def _block(self) -> Word:
        token = self.token
        if token.kind != "name":
            self._unexpected("the name of a block", _block_hint(token))
        self._next()
        if _RESERVED.fullmatch(token.text):
            hint = "choose another name" if token.text == "rest" else "'x' repeats what stands before it: a x6"
            self._note("E203", f"{token.text!r} is reserved", token.start, token.end, hint)
        arguments, end = {}, token.end
        if self.token.text == "(" and self.token.start == token.end:
            arguments, end = self._arguments()
        elif self.token.text == "(":
            self._unexpected("','", f"arguments touch the name: {token.text}(…)")
        return Word(token.text, arguments, (), token.start, end)

    # ---------------------------------------------------------------- arguments

    def _arguments(self) -> tuple[dict[str, Scalar], int]:
        opened, arguments, close = self.token, {}, ","
        at = opened.end
        while close == ",":
            key = _KEY.match(self.text, at)
            if not key:
                self._not_an_argument(at, opened)
            if key[1] in arguments:
                self._note("E208", f"argument {key[1]!r} is given twice", *key.span(1))
            arguments[key[1]], at = self._value(key[1], key.end())
            after = _AFTER_VALUE.match(self.text, at)
            close, at = (after[1], after.end()) if after else ("", at)
            if not close:
                self._next(at)
                self._unexpected("',' or ')'", "quote a value that is not a number or a name")
        end = after.end(1) if after else at
        self._next(end)
        return arguments, end

    def _not_an_argument(self, at: int, opened: Token) -> NoReturn:
        self._next(at)
        if self.token.kind == "end":
            self._stop("E202", "this '(' is never closed", opened.start, opened.end, "write ')'")
        hint = "a '(' that touches a name opens arguments: key=value; for a group write ', ('"
        self._unexpected("key=value", hint)

    def _value(self, key: str, at: int) -> tuple[Scalar, int]:
        match = _VALUE.match(self.text, at)
        if not match:
            self._next(at)
            self._unexpected(f"a value for {key!r}", "a number, true, false, null, a name or a quoted string")
        if match["bare"] is None:
            return match["single"] if match["single"] is not None else match["double"], match.end()
        try:
            value = resolve(match["bare"])
            if isinstance(value, str) and not re.match("[A-Za-z_]", value):
                raise BadScalar("E208", f"{value} is not a number", "quote it if it is a string")
        except BadScalar as bad:
            self._note("E208", bad.message, *match.span(), bad.hint)
            value = None
        return value, match.end()


def _block_hint(token: Token) -> str:
    hints = {"#": "a pattern has no comments", "×": "a repeat stands behind the name: mamba×6", ",": "one ',' is enough"}
    if token.kind == "number":
        return "a repeat stands behind the name: mamba×6"
    return hints.get(token.text, hints["×"] if token.text == "*" else "")


def _line(text: str) -> str:
    """Source text on one line, cut to a length that fits a message."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:59]}…"
