"""How often the part of a pattern repeats that takes what the other parts leave of `layers`."""

from __future__ import annotations

from dataclasses import replace

from composer.errors import SpecError, fail
from composer.pattern.words import REST, Group, Pattern, Term


def fill(pattern: Pattern, layers: int | None, path: str = "pattern", typed: bool = False) -> Pattern:
    """The pattern with a number in place of `rest`; the same pattern where it has none.

    `path` is the key path of the pattern.  Where it was `typed` on a command line the hints are options of one.
    Raises SpecError E213 if the rest is unknown, nothing, or not a whole number of repeats.
    """
    term = pattern.rest
    if term is None:
        return pattern
    unit = replace(term, count=1).length()
    whole, left = (0, 0) if layers is None else divmod(layers - pattern.length(), unit)
    if whole < 1 or left:
        message, hint = _problem(
            pattern.length(), unit, layers, "write --set layers=" if typed else "write layers: "
        )
        place = pattern.locate(term.start, term.end - term.start)
        fail(SpecError, "E213", message, place=place, path=path, hint=hint)
    return replace(pattern, terms=_filled(pattern.terms, whole))


def _problem(others: int, unit: int, layers: int | None, write: str) -> tuple[str, str]:
    """What is wrong with a rest, and what to write."""
    if layers is None:
        return "'rest' is what `layers` leaves, and nothing says how many layers there are", f"{write}…"
    if layers < others + unit:
        message = f"the other words have {others} of {layers} layers, which leaves 'rest' too few"
        return message, f"{write}{others + unit} or more, or leave out what takes the rest"
    left = layers - others
    fits = others + left // unit * unit
    return f"'rest' has {left} layers, which are no multiple of {unit}", f"{write}{fits} or {fits + unit}"


def _filled(terms: tuple[Term, ...], count: int) -> tuple[Term, ...]:
    return tuple(_fill(term, count) for term in terms)


def _fill(term: Term, count: int) -> Term:
    atom = Group(_filled(term.atom.terms, count)) if isinstance(term.atom, Group) else term.atom
    return replace(term, atom=atom, count=count if term.count == REST else term.count)
