"""Another library's package called `composer`, which has the import name of ours."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from ..errors import Problem


def foreign_composer(search: Iterable[str], ours: Path) -> list[Problem]:
    """Another library's package called `composer`: elsewhere on the search path, or mixed into our folder."""
    places = [Path(entry) / "composer" for entry in search]
    ours_too = "pattern"  # a second copy of this package is no stranger
    others = [p for p in places if (p / "__init__.py").is_file() and not (p / ours_too).exists()]
    return [in_the_way(place) for place in [*others, *strays(ours)]]


def strays(folder: Path) -> list[Path]:
    """What lies in the installed package without having come with it; nothing in an editable install."""
    try:
        shipped = {file.parts[1] for file in files("arch-composer") or [] if file.parts[0] == "composer"}
    except PackageNotFoundError:
        return []
    return [
        path for path in sorted(folder.iterdir()) if shipped and path.name not in {*shipped, "__pycache__"}
    ]


def in_the_way(place: Path) -> Problem:
    """Another library has put something where our package is looked for."""
    message = f"another library's package `composer` is in this environment: {place}"
    hint = "both have the same import name; install arch-composer into an environment of its own"
    return Problem("E407", message, path="composer", hint=hint)
