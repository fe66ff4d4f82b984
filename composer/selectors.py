"""Which layers an override is about: `0`, `-1`, `"8..15"`, `full`, `"full[0]"`, or a list of those."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from .errors import did_you_mean
from .pattern import Row
from .source.invalid import shown

_NUMBER = r"-?\d{1,6}"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*")
_NAMED = re.compile(rf"\s*([A-Za-z_][\w-]*)\s*(?:\[\s*({_NUMBER})\s*(?:\.\.\s*({_NUMBER})\s*)?\]\s*)?")
FORMS = 'write an index (0, -1), a range ("8..15"), or a word of the pattern (full, "full[0]")'


@dataclass(frozen=True)
class Selected:
    """The layers that a selector names, and the word that it names them by, if it does."""

    layers: tuple[int, ...]
    word: str | None = None


@dataclass(frozen=True)
class Unselected:
    """Why a selector names no layer, and what to write."""

    message: str
    hint: str


class Selectors:
    """What selectors mean in given layers."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.layers = len(rows)
        self.uses: dict[str, list[int]] = {}
        for index, row in enumerate(rows):
            for name in dict.fromkeys(words_of(row)):
                self.uses.setdefault(name, []).append(index)

    def select(self, at: int | str) -> Selected | Unselected:
        """The layers that a selector names.

        A word names the layers where it stands in some track or rides as a guest, and `word[k]` the k-th of these.
        """
        if isinstance(at, int):
            return _numbered(at, self.layers)
        if found := _RANGE.fullmatch(at):
            return _range(at, found, self.layers)
        if named := _NAMED.fullmatch(at):
            uses = self.uses.get(named[1])
            return _uses(at, named, uses) if uses else _unknown(named[1], self.uses)
        digits = re.fullmatch(_NUMBER, at.strip())
        return Unselected(f"{shown(at)} selects no layer", f"write {int(at)}" if digits else FORMS)


def words_of(row: Row) -> Iterator[str]:
    """The name of every word of a layer, guests included."""
    for word in row.values():
        yield word.name
        yield from (guest.name for guest in word.guests)


def _numbered(at: int, layers: int) -> Selected | Unselected:
    if -layers <= at < layers:
        return Selected((at % layers,))
    return Unselected(f"there is no layer {at}; layers go from 0 to {layers - 1}", FORMS)


def _range(at: str, found: re.Match[str], layers: int) -> Selected | Unselected:
    chosen = _between(found[1], found[2], layers)
    if not chosen:
        return Unselected(f"the range {at!r} is not inside the layers 0 to {layers - 1}", FORMS)
    return Selected(tuple(chosen))


def _between(first: str, last: str, count: int) -> range:
    """The numbers from one to another, both included, negative ones counted from the end; none if one is outside."""
    start, stop = (int(each) + (count if each.startswith("-") else 0) for each in (first, last))
    return range(start, stop + 1) if 0 <= start <= stop < count else range(0)


def _uses(at: str, named: re.Match[str], uses: list[int]) -> Selected | Unselected:
    """Some of the layers that a word stands in."""
    word, first, last = named.groups()
    if first is None:
        return Selected(tuple(uses), word)
    chosen = _between(first, first if last is None else last, len(uses))
    if not chosen:
        message = f"{at.strip()!r} is none of the {len(uses)} layers with {word!r}"
        ends = f"{word}[0]" if len(uses) == 1 else f"{word}[0] to {word}[{len(uses) - 1}]"
        return Unselected(message, f"they are {ends}")
    return Selected(tuple(uses[number] for number in chosen), word)


def _unknown(name: str, known: Collection[str]) -> Unselected:
    hint = did_you_mean(name, known) or f"the words of the pattern are {', '.join(known)}"
    return Unselected(f"no layer has the word {name!r}", hint)
