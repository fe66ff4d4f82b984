"""Incremental twins of a tokenizer's decoder steps: pieces go in one by one, settled text comes out.

A decoder turns all tokens of a text into strings, step by step, and joins them. Each class here does what one
such step does, but holds back only what a later token could still change: the bytes of an unfinished run, the
start of a string that may be replaced. `feed` takes one piece, `finish` says that no more will come; the
pieces given out concatenate to what the whole step gives.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Protocol

BYTE_TOKEN = re.compile(r"<0x(?:[0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>")


class Piecewise(Protocol):
    """One decoder step, fed piece by piece."""

    def feed(self, piece: str) -> Iterable[str]:
        """What is settled once `piece` is known."""

    def finish(self) -> Iterable[str]:
        """What was held back, now that nothing follows; the step is then as new."""


class Each:
    """A step that treats every token alone, the first one perhaps differently."""

    def __init__(self, later: Callable[[str], str], first: Callable[[str], str] | None = None) -> None:
        self.later = later
        self.first = first or later
        self.started = False

    def feed(self, piece: str) -> Iterable[str]:
        change = self.later if self.started else self.first
        self.started = True
        return (change(piece),)

    def finish(self) -> Iterable[str]:
        self.started = False
        return ()


class Delayed:
    """A step that treats the last token differently, so each one waits for the next."""

    def __init__(self, inner: Callable[[str], str], last: Callable[[str], str]) -> None:
        self.inner = inner
        self.last = last
        self.held: str | None = None

    def feed(self, piece: str) -> Iterable[str]:
        held, self.held = self.held, piece
        return () if held is None else (self.inner(held),)

    def finish(self) -> Iterable[str]:
        held, self.held = self.held, None
        return () if held is None else (self.last(held),)


class ByteRuns:
    """Byte tokens (`<0xE2>`) to characters.

    A run that is not UTF-8 becomes one replacement character a byte, all of it: one bad byte at the end
    changes the whole run. So a run is held until another token ends it.
    """

    def __init__(self) -> None:
        self.run = bytearray()

    def feed(self, piece: str) -> Iterable[str]:
        if BYTE_TOKEN.fullmatch(piece):
            self.run.append(int(piece[3:5], 16))
            return ()
        return (*self.finish(), piece)

    def finish(self) -> Iterable[str]:
        if not self.run:
            return ()
        run, self.run = bytes(self.run), bytearray()
        try:
            return (run.decode("utf-8"),)
        except UnicodeDecodeError:
            return ("\ufffd" * len(run),)


class ByteLetters:
    """Tokens spelt in the byte alphabet (a letter a byte) to characters; bad bytes become U+FFFD."""

    def __init__(self) -> None:
        self.utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: str) -> Iterable[str]:
        return (self.utf8.decode(spelt_bytes(piece)),)

    def finish(self) -> Iterable[str]:
        rest = self.utf8.decode(b"", final=True)
        self.utf8.reset()
        return (rest,)


class Replacing:
    """`text.replace(old, new)` over one growing text: what may be the beginning of `old` waits."""

    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new
        self.held = ""

    def feed(self, piece: str) -> Iterable[str]:
        *done, rest = (self.held + piece).split(self.old)
        keep = self.overlap(rest)
        self.held = rest[len(rest) - keep :]
        return (self.new.join([*done, rest[: len(rest) - keep]]),)

    def overlap(self, text: str) -> int:
        """Length of the longest end of `text` that begins `old`."""
        longest = min(len(text), len(self.old) - 1)
        return next((n for n in range(longest, 0, -1) if self.old.startswith(text[-n:])), 0)

    def finish(self) -> Iterable[str]:
        held, self.held = self.held, ""
        return (held,)


class LeftStrip:
    """At most `most` characters `letter` taken off the start of one growing text."""

    def __init__(self, letter: str, most: int) -> None:
        self.letter = letter
        self.most = most
        self.left = most

    def feed(self, piece: str) -> Iterable[str]:
        cut = 0
        while self.left and cut < len(piece):
            self.left = self.left - 1 if piece[cut] == self.letter else 0
            cut += piece[cut] == self.letter
        return (piece[cut:],)

    def finish(self) -> Iterable[str]:
        self.left = self.most
        return ()


@cache
def byte_alphabet() -> dict[str, int]:
    """Letter to byte: printable Latin-1 stands for itself, the others are numbered from 256 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(b): b for b in plain} | {chr(256 + n): b for n, b in enumerate(others)}


def spelt_bytes(token: str) -> bytes:
    """The bytes of a token in the byte alphabet; one with other letters (an added one) stands for itself."""
    alphabet = byte_alphabet()
    try:
        return bytes([alphabet[letter] for letter in token])
    except KeyError:
        return token.encode("utf-8")
