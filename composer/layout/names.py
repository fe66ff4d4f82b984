"""Many tensor names in few lines."""

from __future__ import annotations

from collections.abc import Iterable

MOST_LINES = 20


def folded(names: Iterable[str]) -> list[str]:
    """`a.0.x, a.1.x, a.2.x` as `a.{0..2}.x`; at most 20 entries, the last then says how many are left."""
    groups: dict[tuple[str, str], list[int]] = {}
    for name in names:
        head, number, tail = _split(name)
        groups.setdefault((head, tail), []).append(number)
    shown = [_shown(head, sorted(numbers), tail) for (head, tail), numbers in groups.items()]
    if len(shown) > MOST_LINES:
        shown[MOST_LINES - 1 :] = [f"and {len(shown) - MOST_LINES + 1} more"]
    return shown


def _split(name: str) -> tuple[str, int, str]:
    """The name around its first whole-number part; -1 and an empty tail when it has none."""
    parts = name.split(".")
    for at, part in enumerate(parts):
        if part.isdecimal() and part.isascii() and len(part) < 10:
            return ".".join(parts[:at]), int(part), ".".join(parts[at + 1 :])
    return name, -1, ""


def _shown(head: str, numbers: list[int], tail: str) -> str:
    if numbers[0] < 0:
        return head
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    text = ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in runs)
    middle = text if len(numbers) == 1 else "{" + text + "}"
    return ".".join(part for part in (head, middle, tail) if part)
