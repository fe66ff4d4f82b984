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
MOST_ADDED = 10_000
"""Published templates add one or two."""

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
    """Raise TextError E613 when rules multiply a text too far, or a template adds too many tokens to it."""
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        times = growth(state(getattr(backend, name)))
        if times > MOST:
            message = f"the {name} in {str(file)!r} can make a text {times:.3g} times longer"
            fail(TextError, "E613", message, hint=f"replacements may multiply to {MOST:.0f} at most")
    if (tokens := added(state(backend.post_processor))) > MOST_ADDED:
        message = f"the post_processor in {str(file)!r} adds {tokens:,} tokens to every text"
        fail(TextError, "E613", message, hint=f"a template may add {MOST_ADDED:,} at most")


def state(part: Any) -> dict[str, Any]:
    """A part of a tokenizer as the data that it was made of."""
    found: dict[str, Any] = json.loads(part.__getstate__()) if part is not None else {}
    return found


def growth(rule: Mapping[str, Any]) -> float:
    """The most bytes that a rule and those inside it write for one byte, at least 1."""
    times = 2.0 if rule.get("type") == "ByteLevel" else 1.0
    if rule.get("type") == "Replace":
        pattern = rule.get("pattern") or {}
        # A regular expression may match between any two characters, and what it matches may be empty.
        found = len(str(pattern["String"]).encode()) if "String" in pattern else 0
        written = len(str(rule.get("content", "")).encode())
        times = max(1.0, written / found if found else written + 1.0)
    if rule.get("type") == "TemplateProcessing":
        times = max(1.0, sum("Sequence" in piece for piece in rule.get("single") or ()))
    for key in ("normalizers", "pretokenizers", "processors", "decoders"):
        for inside in rule.get(key) or ():
            times *= growth(inside)
    return times


def added(rule: Mapping[str, Any]) -> int:
    """How many tokens the templates in a rule put around one text."""
    ids = {name: len(token["ids"]) for name, token in (rule.get("special_tokens") or {}).items()}
    pieces = [piece.get("SpecialToken") for piece in rule.get("single") or ()]
    return sum(ids.get(piece["id"], 0) for piece in pieces if piece) + sum(
        map(added, rule.get("processors") or ())
    )
