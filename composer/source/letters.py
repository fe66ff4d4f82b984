"""Punctuation of an input method, which looks like that of YAML and is none."""

from __future__ import annotations

import re
import unicodedata

# Wide forms, and what East Asian keyboards and word processors make of quotes, commas and colons.
_FOREIGN = re.compile("[！-／：-＠［-｀｛-～、。「」‘-‟；\u3000\u00a0]")
_MEANT = {
    **dict.fromkeys("‘’‚‛", "'"),
    **dict.fromkeys("“”„‟「」", '"'),
    "、": ",",
    "。": ".",
}


def first_foreign(text: str) -> int | None:
    """The offset of the first such character in a text."""
    found = _FOREIGN.search(text)
    return found.start() if found else None


def punctuation_hint(text: str) -> str:
    """What to write for the first such character in a text; empty if there is none."""
    found = _FOREIGN.search(text)
    if not found:
        return ""
    meant = _MEANT.get(found[0]) or unicodedata.normalize("NFKC", found[0])
    return f"write {meant!r} for {found[0]!r}" if meant != " " else "write ordinary spaces"
