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
    **dict.fromkeys("‘’‚", "'"),
    **dict.fromkeys("“”„", '"'),
    "、": ",",
}


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
        return "write an ordinary space" if self.meant == " " else f"write {self.meant!r}"


def foreign(text: str) -> Iterator[Foreign]:
    """Every character of a pattern that has to be replaced."""
    for match in _FOREIGN.finditer(text):
        if len(match.group()) == 1:
            yield Foreign(match.start(), match.group(), _meant(match.group()))


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
    return plain if len(plain) == 1 and plain.isascii() else ""
