"""From the words of one cycle to the words of all layers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from composer.errors import Place, SpecError, did_you_mean, fail
from composer.pattern.parse import MAX_LAYERS
from composer.pattern.words import Word

Remainder = Literal["error", "truncate"]


def cycle(
    words: tuple[Word, ...],
    layers: int | None = None,
    remainder: Remainder = "error",
    place: Place | None = None,
    typed: bool = False,
    what: str = "the pattern",
) -> tuple[Word, ...]:
    """The words repeated to `layers` layers, or as they are without it. `place` is where `layers` stands.
    Where the pattern was `typed` on a command line the hints are options of one.  `what` the words are of is
    told where there are several: "track 'ffn'".

    Raises SpecError if `layers` is shorter than the pattern, or no multiple of it and `remainder` is "error".
    """
    once, write = len(words), "write --set {}={}" if typed else "write {}: {}"
    layers = once if layers is None else layers
    check_number(layers, place)
    if layers == once:
        return words
    if layers < once:
        hint = f"shorten the pattern, or {write.format('layers', once)}"
        message = f"{what} has {once} layers, more than the {layers} that 'layers' says"
        fail(SpecError, "E210", message, place=place, path="layers", hint=hint)
    whole, left = divmod(layers, once)
    if left and remainder != "truncate":
        hint = f"{write.format('layers', whole * once)} or {(whole + 1) * once}, or "
        hint += write.format("remainder", "truncate") if typed else "set remainder: truncate"
        cycles = f"cycles of {what}" if what != "the pattern" else f"cycles of {once}"
        message = f"{layers} layers are {whole} {cycles} and {left} more"
        fail(SpecError, "E209", message, place=place, path="layers", hint=hint)
    return (words * (whole + 1))[:layers]


def check_number(layers: int, place: Place | None = None) -> None:
    """A model may have so many layers.  Raises SpecError E211."""
    if not 1 <= layers <= MAX_LAYERS:
        message = f"a model has between 1 and {MAX_LAYERS:,} layers, found {layers:,}"
        fail(SpecError, "E211", message, place=place, path="layers")


def hint_for_unknown(name: str, known: Iterable[str]) -> str:
    """What to write for a name that no block has: a repeat that was glued to a name, or the nearest name."""
    names = list(known)
    glued = re.fullmatch(r"(.+?)-?x([1-9][0-9]*)", name)
    if glued and glued[1] in names:
        base, count = glued.groups()
        return f"write {base}×{count}, {base}*{count} or '{base} x{count}'"
    return did_you_mean(name, names)
