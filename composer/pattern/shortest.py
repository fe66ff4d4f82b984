"""The inverse of expansion: from the word of every layer to a short pattern.

Up to `MOST_SEARCHED` layers no pattern is shorter, in characters of the canonical form; of patterns of one
length the one with the fewest terms is taken.  Beyond that only runs of equal words are folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from composer.errors import SpecError, fail
from composer.pattern.cycle import Remainder
from composer.pattern.form import fmt, riders, word
from composer.pattern.parse import parse
from composer.pattern.search import MOST_SEARCHED, Search
from composer.pattern.words import Pattern, Word


def shortest(words: Sequence[Word | str]) -> str:
    """A pattern that expands to `words`; a string is the pattern of one layer: "mamba+shared-attn".

    Raises SpecError E202 if there are none, and what `parse` raises for a string.
    """
    return _shortest(_words(words))


def shortest_cycle(words: Sequence[Word | str]) -> tuple[str, Remainder]:
    """A pattern that cycles to `words` where `layers` is their number, and what `remainder` has to be.

    The last cycle is cut only where at least two are whole and that is shorter.  Raises SpecError as `shortest`
    does.
    """
    given = _words(words)
    whole = _shortest(given[: _period(given, whole=True)])
    cut = given[: _period(given, whole=False)]
    short = _shortest(cut) if len(given) % len(cut) else whole
    return (short, "truncate") if len(short) < len(whole) else (whole, "error")


def _words(words: Sequence[Word | str]) -> list[Word]:
    """Words as words, each text read once."""
    if not words:
        fail(SpecError, "E202", "the pattern is empty", path="pattern", hint="write the name of a block")
    known: dict[str, Word] = {}
    for each in words:
        if isinstance(each, str) and each not in known:
            (known[each],) = parse(each).expand()
    return [known[each] if isinstance(each, str) else each for each in words]


def _shortest(words: list[Word]) -> str:
    """The pattern of some words."""
    if len(words) <= MOST_SEARCHED:
        return fmt(Pattern(Search(words).terms(0, len(words)), "", lambda start, width: None))
    return ", ".join(_runs(words))


def _period(words: list[Word], whole: bool) -> int:
    """The smallest distance at which the words come again; `whole` if it has to divide their number."""
    texts = [_text(each) for each in words]
    count = len(texts)
    fits = (p for p in range(1, count // 2 + 1) if not whole or count % p == 0)
    return next((p for p in fits if texts[p:] == texts[:-p]), count)


def _runs(words: list[Word]) -> Iterator[str]:
    """Neighbours that are equal, as the text of one term."""
    for text, run in groupby(map(_text, words)):
        count = sum(1 for _ in run)
        bracketed = f"({text})" if "+" in text and count > 1 else text
        yield f"{bracketed}×{count}" if count > 1 else text


def _text(each: Word) -> str:
    """One layer as written."""
    return word(each) + riders(each.guests)
