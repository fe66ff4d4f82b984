"""Names with variables: `{i}` stands for a whole number, the same wherever it stands in a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache


def numbers_in(pattern: str, name: str) -> dict[str, str] | None:
    """The numbers that the variables of `pattern` stand for in `name`; None when it is another name."""
    found = _compiled(pattern).fullmatch(name)
    return None if found is None else found.groupdict()


def fill(pattern: str, numbers: Mapping[str, str]) -> str:
    """`pattern` with the variables that `numbers` knows replaced by their values."""
    return re.sub(r"\{(\w+)\}", lambda found: numbers.get(found[1], found[0]), pattern)


@cache
def outline(name: str) -> str:
    """A name or a pattern with every number and every variable made the same: what can match looks alike."""
    return re.sub(r"\d+|\{\w+\}", "#", name)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    seen: set[str] = set()
    text = ""
    for at, part in enumerate(parts):
        if at % 2 == 0:
            text += re.escape(part)
        else:
            text += f"(?P={part})" if part in seen else f"(?P<{part}>0|[1-9][0-9]*)"
            seen.add(part)
    return re.compile(text)
