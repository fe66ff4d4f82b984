"""The canonical form of a pattern. Formatting never changes what a pattern expands to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from composer.pattern.words import REST, Group, Pattern, Term, Word
from composer.source import Scalar, resolve

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def fmt(pattern: Pattern) -> str:
    """The pattern on one line: `×` for repeats, one space after commas, no needless parentheses."""
    return _terms(simplify(pattern.terms))


def simplify(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """The same terms without groups that group nothing."""
    return tuple(simple for term in terms for simple in _simplify(term))


def _simplify(term: Term) -> tuple[Term, ...]:
    if isinstance(term.atom, Word):
        return (term,)
    *rest, last = inner = simplify(term.atom.terms)
    if term.count == 1:
        return (*rest, replace(last, guests=last.guests + term.guests))
    lone = not rest and last.count == 1 and not last.guests
    return (replace(term, atom=last.atom if lone else Group(tuple(inner))),)


def _terms(terms: tuple[Term, ...]) -> str:
    return ", ".join(map(_term, terms))


def _term(term: Term) -> str:
    atom = word(term.atom) if isinstance(term.atom, Word) else f"({_terms(term.atom.terms)})"
    count = "" if term.count == 1 else f"×{'rest' if term.count == REST else term.count}"
    return "".join([atom, count, riders(term.guests)])


def riders(guests: Iterable[Word]) -> str:
    """Guests as written behind what they ride on."""
    return "".join(f"+{word(guest)}" for guest in guests)


def word(each: Word) -> str:
    """A word as written in a pattern, without its guests."""
    arguments = ", ".join(f"{key}={value(given)}" for key, given in each.arguments.items())
    return f"{each.name}({arguments})" if arguments else each.name


def value(given: Scalar) -> str:
    """An argument's value as written in a pattern; a string is quoted where it would mean something else."""
    if given is None or isinstance(given, bool):
        return {None: "null", True: "true", False: "false"}[given]
    if not isinstance(given, str):
        return re.sub(r"e([-+]?)0+", r"e\1", repr(given))
    if _BARE.fullmatch(given) and isinstance(resolve(given), str):
        return given
    return f'"{given}"' if "'" in given else f"'{given}'"
