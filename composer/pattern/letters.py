"""What to write for characters that an input method or a word processor makes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_QUOTED = r"'[^'\n]*'|\"[^\"\n]*\""
_FOREIGN = re.compile(rf"{_QUOTED}|[^\x00-\x7f×]")
_REPEAT = "✕✖✗╳⨉⨯⨂⊗хХχΧ"
_MEANT = {
    **dict.fromkeys(_REPEAT, "×"),
    **dict.fromkeys("∗⁎·⋅", "*"),
    **dict.fromkeys("‐‑‒–—−", "-"),
    **dict.fromkeys("、；", ","),
}

_MARKS = frozenset(",+()*=-_. ")  # of the grammar
_QUOTES = {**dict.fromkeys("‘’‚＇", "'"), **dict.fromkeys("“”„＂", '"')}
_CURLY = "".join(_QUOTES)
_QUOTED_VALUE = re.compile(rf"[=＝]\s*['\"{_CURLY}][^'\"{_CURLY}\n]*['\"{_CURLY}]?")


@dataclass(frozen=True)
class Foreign:
    """A character outside quotes that is neither ASCII nor ×; `meant` is the one to write, or empty."""

    at: int
    character: str
    meant: str

    @property
    def hint(self) -> str:
        """What to write instead."""
        if not self.meant:
            return "names are letters a-z, digits, '_' and '-'"
        if self.character in _QUOTES and self.meant == " ":
            return "only values of arguments are quoted: leave it out"
        return "write an ordinary space" if self.meant == " " else f"write {self.meant!r}"


def foreign(text: str) -> Iterator[Foreign]:
    """Every character of a pattern that has to be replaced."""
    values = {at for match in _QUOTED_VALUE.finditer(text) for at in range(*match.span())}
    for match in _FOREIGN.finditer(text):
        character, at = match.group(), match.start()
        if character in _QUOTES:
            yield Foreign(at, character, _QUOTES[character] if at in values else " ")
        elif len(character) == 1:
            yield Foreign(at, character, _meant(character))


def replaced(text: str, found: list[Foreign]) -> str:
    """The text with the characters that were meant, at the same offsets."""
    letters = list(text)
    for each in found:
        letters[each.at] = each.meant
    return "".join(letters)


def _meant(character: str) -> str:
    if character in _MEANT:
        return _MEANT[character]
    plain = unicodedata.normalize("NFKC", character)
    known = plain in _MARKS or (plain.isascii() and plain.isalnum())
    return plain if len(plain) == 1 and known else ""
