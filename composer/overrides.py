"""What differs at single layers: selectors, options by layer, and where each option was written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .errors import Path, Place
from .origins import Origins


@dataclass
class Choice:
    """Options of one block at one layer: the value of each and the key path that says so."""

    values: dict[str, tuple[Any, Path]] = field(default_factory=dict)

    def override(self, key: str, value: Any, path: Path) -> str | None:
        """Take a value from an override; the complaint if another override already gave a different one."""
        known = self.values.get(key)
        if known and known[1][0] == "overrides" and known[0] != value:
            return f"{key!r} is overridden twice, with {known[0]!r} and {value!r}"
        self.values[key] = (value, path)
        return None


@dataclass
class OptionOrigins:
    """Places of a block's options, some of which come from the pattern, an override or the command line."""

    origins: Origins
    base: Path
    paths: dict[str, Path] = field(default_factory=dict)

    def path(self, path: Path) -> Path:
        """Where a key path of the block's entry was really written."""
        option = path[len(self.base) :]
        if not option or option[0] not in self.paths:
            return path
        base = self.paths[str(option[0])]
        return base if base == ("pattern",) else (*base, *option[1:])

    def place(self, path: Path, key: bool = False) -> Place | None:
        """The place of an option of the block."""
        return self.origins.place(self.path(path), key)


def indices_of(at: int | str, layers: int) -> list[int] | str:
    """The layers that a selector names, or the complaint that it names none: 0, -1, "8..15"."""
    if isinstance(at, int):
        return (
            [at % layers]
            if -layers <= at < layers
            else f"there is no layer {at}; layers go from 0 to {layers - 1}"
        )
    found = re.fullmatch(r"\s*(\d{1,6})\s*\.\.\s*(\d{1,6})\s*", at)
    if not found:
        return f'{at!r} selects no layer; write an index (0, -1) or a range ("8..15")'
    first, last = int(found[1]), int(found[2])
    if first > last or last >= layers:
        return f"the range {at!r} is not inside the layers 0 to {layers - 1}"
    return list(range(first, last + 1))
