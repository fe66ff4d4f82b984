"""The canonical form of a pattern as it stands in a spec: in one string, in several, in tracks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from composer.errors import Path, SpecError
from composer.pattern.form import fmt
from composer.pattern.parse import parse


def canonical(part: str) -> str:
    """One string of a pattern; in a list, a group may be open at its end, and then it stays as it is."""
    try:
        return fmt(parse(part))
    except SpecError:
        return part


def canonical_written(written: Any) -> Any:
    """A string, a list or a mapping of tracks with every string of it in canonical form."""
    if isinstance(written, dict):
        return {track: canonical_written(each) for track, each in written.items()}
    if isinstance(written, list):
        return [canonical_written(each) for each in written]
    return canonical(written) if isinstance(written, str) else written


def strings(written: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The strings of a pattern with their key paths, and whatever else stands in place of one."""
    if not isinstance(written, list | dict):
        yield path, written
        return
    for key, entry in written.items() if isinstance(written, dict) else enumerate(written):
        yield from strings(entry, (*path, key))
