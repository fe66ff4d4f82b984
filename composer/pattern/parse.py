"""A layer pattern from text: one function for each line of the grammar.

pattern = term { "," term } [ "," ]
term    = run { "+" block }                     "+" rides on the last layer of the run
run     = atom [ ( "×" | "*" | "x" ) count ]
count   = INT | "rest"                          "rest" is what `layers` leaves, at most once
atom    = block | "(" pattern ")"
block   = NAME [ "(" key "=" value { "," key "=" value } ")" ]      the "(" touches the name
"""

from __future__ import annotations

import re
from dataclasses import replace

from composer.errors import SpecError
from composer.pattern.arguments import arguments
from composer.pattern.scan import Scanner, Stop, Token, in_text
from composer.pattern.words import REST, Group, Locate, Pattern, Term, Word, length

MAX_LAYERS = 10_000
MAX_DEPTH = 32

_RESERVED = re.compile(r"x[0-9]*|rest")
_REPEAT_X = re.compile(r"x[0-9]*")
_MOST_DIGITS = 15
_BEHIND = "a repeat stands behind the name: mamba×6"


def parse(text: str, locate: Locate | None = None, path: str = "pattern") -> Pattern:
    """Read a pattern. `locate(offset, width)` gives places for errors, by default in the text itself.

    Raises SpecError with every wrong character, and every mistake in meaning up to the first one in form.
    """
    locate = locate or in_text(text)
    parser = _Parser(Scanner(text, locate, path))
    terms = parser.read()
    if parser.scan.problems:
        raise SpecError(*parser.scan.problems)
    return Pattern(terms, text, locate)


class _Parser:
    def __init__(self, scan: Scanner) -> None:
        self.scan, self.depth = scan, 0
        self.rests: list[Token] = []

    def read(self) -> tuple[Term, ...]:
        """The whole text as terms; none if it cannot be read."""
        scan = self.scan
        try:
            scan.start()
            if scan.token.kind == "end":
                scan.stop("E202", "the pattern is empty", 0, 1, "write the name of a block")
            terms = self.pattern()
            if scan.token.kind != "end":
                scan.unexpected("',' or the end", "no '(' is open" if scan.token.text == ")" else "")
            self.check_length(terms, 0, len(scan.text))
        except Stop:
            return ()
        return terms

    def pattern(self) -> tuple[Term, ...]:
        terms = [self.term()]
        while self.scan.token.text == ",":
            self.scan.next()
            if self.scan.token.kind == "end" or self.scan.token.text == ")":
                break
            terms.append(self.term())
        return tuple(terms)

    def term(self) -> Term:
        scan = self.scan
        start, rests = scan.token.start, len(self.rests)
        atom = self.group() if scan.token.text == "(" else self.block()
        run, inside = scan.previous.end, self.rests[rests:]
        count = self.repeat()
        if inside and count not in (None, 1, REST):
            self.note_rest(
                inside[-1], "'rest' stands in a group that repeats", "write how often the group repeats"
            )
        if count is not None and self.is_repeat(scan.token):
            hint = f"write ({scan.source(start, run)}×{count or 'rest'})×…"
            scan.unexpected("',' or '+'", hint)
        term = Term(atom, 1 if count is None else count, (), start, scan.previous.end)
        while scan.token.text == "+":
            scan.next()
            term = self.ride(term)
        self.check_length((term,), start, term.end)
        return term

    def ride(self, term: Term) -> Term:
        """One guest behind a "+". A repeat behind the guest could mean it or the whole, and is refused."""
        scan = self.scan
        if scan.token.text == "(":
            scan.unexpected("the name of a guest", "a guest is one block: write a+b+c, not a+(b, c)")
        guest = self.block()
        count = self.repeat()
        if count is not None:
            hint = f"write ({scan.source(term.start, guest.end)})×{count or 'rest'} to repeat both"
            if term.count == 1 and not term.guests:
                host, rider = scan.source(term.start, term.end), scan.source(guest.start, guest.end)
                hint += f", or {host}×{count or 'rest'}+{rider} to let it ride on the last"
            shown = scan.source(term.start, scan.previous.end)
            scan.note("E205", f"'{shown}' is ambiguous", term.start, scan.previous.end, hint)
        return replace(term, guests=(*term.guests, guest), end=scan.previous.end)

    def group(self) -> Group:
        opened = self.scan.next()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.scan.stop("E207", f"nested more than {MAX_DEPTH} deep", opened.start, opened.end)
        terms = self.pattern()
        if self.scan.token.kind == "end":
            self.scan.unclosed(opened)
        if self.scan.token.text != ")":
            self.scan.unexpected("',' or ')'")
        self.scan.next()
        self.depth -= 1
        return Group(terms)

    def block(self) -> Word:
        scan = self.scan
        name = scan.token
        if name.kind != "name":
            scan.unexpected("the name of a block", _hint_at(name))
        scan.next()
        if _RESERVED.fullmatch(name.text):
            hint = "it is a count: a×rest" if name.text == "rest" else "x repeats what stands before it: a x6"
            scan.note("E203", f"{name.text!r} is reserved", name.start, name.end, hint)
        given = {}
        if scan.token.text == "(":
            if scan.token.start > name.end:
                scan.unexpected("','", f"arguments touch the name: {name.text}(…)")
            given = arguments(scan)
        return Word(name.text, given, (), name.start, scan.previous.end)

    def is_repeat(self, token: Token) -> bool:
        return token.text in ("×", "*") or _REPEAT_X.fullmatch(token.text) is not None

    def repeat(self) -> int | None:
        """The count of a repeat, or None if there is none."""
        sign = self.scan.token
        if not self.is_repeat(sign):
            return None
        self.scan.next(sign.start + 1)
        if self.scan.token.text == "rest":
            return self.rest(self.scan.next())
        if self.scan.token.kind != "number":
            hint = _BEHIND if self.scan.token.kind == "name" else ""
            self.scan.unexpected("a whole number or 'rest'", hint)
        return self.count(self.scan.next())

    def rest(self, token: Token) -> int:
        if self.rests:
            self.note_rest(token, "'rest' stands twice", "one part of a pattern takes what the others leave")
        self.rests.append(token)
        return REST

    def note_rest(self, token: Token, message: str, hint: str) -> None:
        self.scan.note("E212", message, token.start, token.end, hint)

    def count(self, number: Token) -> int:
        if number.text.startswith("0"):
            rule = "is at least 1" if set(number.text) == {"0"} else "does not start with 0"
            message = f"a count {rule}, found {number.text[:_MOST_DIGITS]}"
            self.scan.note("E204", message, number.start, number.end)
            return 1
        return int(number.text[:_MOST_DIGITS])

    def check_length(self, terms: tuple[Term, ...], start: int, end: int) -> None:
        """Refuse by arithmetic what would be too long to expand."""
        layers = length(terms)
        if layers > MAX_LAYERS:
            found = f"{layers:,}" if layers < 10 ** (_MOST_DIGITS - 1) else "far more"
            message = f"a pattern has at most {MAX_LAYERS:,} layers, found {found}"
            self.scan.stop("E206", message, start, end, found=found)


def _hint_at(token: Token) -> str:
    """What somebody may have meant who wrote this in place of a name."""
    if token.kind == "number" or token.text in ("×", "*"):
        return _BEHIND
    return {"#": "a pattern has no comments", ",": "one ',' is enough"}.get(token.text, "")
