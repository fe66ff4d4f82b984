"""What a few lines of JSON could fill the memory with: rules that multiply a text, tables that lie about their size."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.errors import Place, TextError, fail

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

MOST = 64.0
"""Published normalisers reach 3, by writing the three bytes of a word mark for one space."""

_CHARSMAP = re.compile(r'"precompiled_charsmap"\s*:\s*"([A-Za-z0-9+/]{0,6})([^"]*)"')


def check_tables(text: str, file: Path) -> None:
    """Raise TextError E602 for a compiled normaliser that claims more bytes than it has.

    The library takes memory for the claim, and ends the process where there is none.
    """
    for found in _CHARSMAP.finditer(text):
        claimed = int.from_bytes(base64.b64decode(f"{found[1]:A<8}")[:4], "little")
        if claimed > len(found[0]):
            message = f"this is not a tokenizer: its precompiled_charsmap claims {claimed:,} bytes, more than it has"
            fail(TextError, "E602", message, place=Place(str(file), 1, 1), hint="is the download complete?")


def check_growth(backend: Backend, file: Path) -> None:
    """Raise TextError E613 when the replacements of the normaliser or the decoder multiply up too far."""
    for name, part in (("normalizer", backend.normalizer), ("decoder", backend.decoder)):
        times = growth(json.loads(part.__getstate__())) if part is not None else 1.0
        if times > MOST:
            message = f"the {name} in {str(file)!r} can make a text {times:.3g} times longer"
            fail(TextError, "E613", message, hint=f"replacements may multiply to {MOST:.0f} at most")


def growth(rule: Mapping[str, Any]) -> float:
    """The most bytes that a rule and those inside it write for one byte, at least 1."""
    times = 1.0
    if rule.get("type") == "Replace":
        pattern = rule.get("pattern") or {}
        # A regular expression may match between any two characters, and what it matches may be empty.
        found = len(str(pattern["String"]).encode()) if "String" in pattern else 0
        written = len(str(rule.get("content", "")).encode())
        times = max(1.0, written / found if found else written + 1.0)
    for inside in [*(rule.get("normalizers") or ()), *(rule.get("decoders") or ())]:
        times *= growth(inside)
    return times
