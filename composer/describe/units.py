"""Numbers for people, beside the exact ones: decimal prefixes, three digits."""

from __future__ import annotations

from collections.abc import Iterable

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
_SCALES = ("", "k", "M", "B", "T", "Q")


def _scaled(number: int, names: tuple[str, ...]) -> str:
    """Three significant digits and the name of a power of 1000."""
    power, value = 0, float(number)
    while power < len(names) - 1 and abs(value) >= 999.5:
        power, value = power + 1, value / 1000
    digits = 0 if power == 0 or abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f} {names[power]}".rstrip()


def count(number: int) -> str:
    """7241732096 as `7.24 B`: thousand, million, billion, trillion."""
    return _scaled(number, _SCALES)


def amount(number: int, unit: str) -> str:
    """14483464192 bytes as `14.5 GB`; a prefix is a power of 1000."""
    text = _scaled(number, _PREFIXES)
    return f"{text}{unit}" if " " in text else f"{text} {unit}"


def layers(first: int, last: int) -> str:
    """A run of layers as overrides select it: `0..31`, or `5` for one."""
    return str(first) if first == last else f"{first}..{last}"


def met(parts: Iterable[tuple[int, int]]) -> str:
    """What differs between parameters and those that a token meets, part by part."""
    pairs = list(parts)
    shared = ["shared ones once for each use"] if any(used > unique for unique, used in pairs) else []
    skipped = ["skipped ones not"] if any(used < unique for unique, used in pairs) else []
    return ", ".join(shared + skipped)
