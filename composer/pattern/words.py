"""What a pattern means: its tree, its length before anything is expanded, and the word of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from composer.errors import Place
from composer.source import Scalar

Locate = Callable[[int, int], Place | None]
REST = 0  # the count of a term that takes what `layers` leaves, until it is filled


@dataclass(frozen=True)
class Word:
    """A block named in a pattern, its arguments, and after expansion the guests that ride on this layer.

    `start` and `end` are character offsets into the pattern; words that say the same are equal wherever they
    stand.
    """

    name: str
    arguments: dict[str, Scalar] = field(default_factory=dict)
    guests: tuple[Word, ...] = ()
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Group:
    """Terms in parentheses."""

    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Term:
    """A word or a group, how often it repeats, and the guests that ride on the last layer of it."""

    atom: Word | Group
    count: int = 1
    guests: tuple[Word, ...] = ()
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    def length(self) -> int:
        """The number of layers, by arithmetic; what takes the rest has none yet."""
        return self.count * (1 if isinstance(self.atom, Word) else length(self.atom.terms))

    def expand(self) -> tuple[Word, ...]:
        """One word a layer: `A×n+B` is n-1 times A, then A with guest B; none for what takes the rest."""
        once = (self.atom,) if isinstance(self.atom, Word) else expand(self.atom.terms)
        if not (words := once * self.count):
            return ()
        *rest, last = words
        return (*rest, replace(last, guests=last.guests + self.guests))

    def hosts(self) -> Iterator[Word]:
        """Every word as written that is no guest."""
        if isinstance(self.atom, Word):
            yield self.atom
        else:
            for term in self.atom.terms:
                yield from term.hosts()

    def words(self) -> Iterator[Word]:
        """Every word as written, guests included."""
        if isinstance(self.atom, Word):
            yield self.atom
        else:
            for term in self.atom.terms:
                yield from term.words()
        yield from self.guests


def length(terms: tuple[Term, ...]) -> int:
    """The number of layers of several terms."""
    return sum(term.length() for term in terms)


def expand(terms: tuple[Term, ...]) -> tuple[Word, ...]:
    """The words of several terms, in order."""
    return tuple(word for term in terms for word in term.expand())


def resting(terms: tuple[Term, ...]) -> Term | None:
    """The term whose count is the rest, in a group or not."""
    for term in terms:
        inner = resting(term.atom.terms) if isinstance(term.atom, Group) else None
        if found := term if term.count == REST else inner:
            return found
    return None


@dataclass(frozen=True)
class Pattern:
    """A pattern that was parsed; its length is checked, so expanding it is cheap."""

    terms: tuple[Term, ...]
    text: str = field(compare=False)
    locate: Locate = field(compare=False, repr=False)

    def length(self) -> int:
        """The number of layers of one cycle, without those that take the rest."""
        return length(self.terms)

    @property
    def rest(self) -> Term | None:
        """The term that takes what `layers` leaves; a pattern that has one has to be filled to be expanded."""
        return resting(self.terms)

    def expand(self) -> tuple[Word, ...]:
        """The word of every layer of one cycle."""
        return expand(self.terms)

    def hosts(self) -> tuple[Word, ...]:
        """Every word as written that is no guest."""
        return tuple(word for term in self.terms for word in term.hosts())

    def words(self) -> tuple[Word, ...]:
        """Every word once, as written and in order, guests included: what to check names and arguments on."""
        return tuple(word for term in self.terms for word in term.words())

    def place(self, word: Word, name_only: bool = False) -> Place | None:
        """Where a word stands in the file, with or without its arguments."""
        return self.locate(word.start, len(word.name) if name_only else word.end - word.start)

    @property
    def whole(self) -> Place | None:
        """Where the pattern begins and, on one line, ends."""
        return self.locate(0, len(self.text))
