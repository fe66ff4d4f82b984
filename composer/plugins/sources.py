"""Where plugins come from: entry points of installed distributions, local files, modules at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from types import ModuleType
from typing import Any, Literal

from .hooks import GROUP
from .local import LocalFile

Origin = Literal["installed", "local", "given"]


def called(name: str, distribution: str, origin: Origin) -> str:
    """What errors call a plugin."""
    return f"local plugin {name}" if origin == "local" else f"plugin {name!r} of {distribution}"


@dataclass(frozen=True)
class Source:
    """A plugin to load: an installed entry point, a file, or a module at hand."""

    name: str
    distribution: str
    version: str
    target: EntryPoint | LocalFile | Any
    origin: Origin = "installed"
    requires: tuple[str, ...] = field(default=(), compare=False)

    @property
    def called(self) -> str:
        """What errors call it."""
        return called(self.name, self.distribution, self.origin)

    @property
    def module(self) -> str:
        """The module that it is, or the package that it is in."""
        if isinstance(self.target, LocalFile):
            return self.target.module
        return re.split("[.:]", self.target.value)[0] if isinstance(self.target, EntryPoint) else self.name

    def load(self) -> Any:
        """Import it; whatever a plugin does at import is for the caller to hold."""
        return self.target.load() if isinstance(self.target, EntryPoint | LocalFile) else self.target


def installed_sources() -> list[Source]:
    """Every entry point of the group, sorted by name; one that is listed twice comes once."""
    points = sorted(installed_points(), key=lambda point: point.name)
    facts: dict[int, Any] = {}  # to read the metadata of a distribution takes a millisecond: once is enough
    for point in points:
        if id(point.dist) not in facts:
            facts[id(point.dist)] = facts_of(point.dist)
    return list(dict.fromkeys(source_of(point, facts[id(point.dist)]) for point in points))


def installed_points() -> list[EntryPoint]:
    """Every entry point of the group; one distribution with an unreadable list does not hide the others."""
    try:
        return [*entry_points(group=GROUP)]
    except Exception:  # whatever lies in an environment
        return [point for distribution in distributions() for point in points_of(distribution)]


def points_of(distribution: Distribution) -> list[EntryPoint]:
    """The entry points of one distribution; none where they cannot be read."""
    try:
        return [*distribution.entry_points.select(group=GROUP)]
    except Exception:
        return []


def facts_of(distribution: Distribution | None) -> Any:
    """The metadata of a distribution; nothing where they are missing or cannot be read."""
    try:
        return distribution.metadata if distribution else {}
    except Exception:
        return {}


def source_of(point: EntryPoint, facts: Any) -> Source:
    """The source behind an entry point, with the metadata of its distribution where there are any."""
    requires = tuple(facts.get_all("Requires-Dist") or ()) if facts else ()
    return Source(
        point.name, facts.get("Name") or "unknown", facts.get("Version") or "", point, requires=requires
    )


def local_source(file: LocalFile) -> Source:
    """The source in a local file."""
    return Source(str(file.path), "", "", file, "local")


def given_sources(modules: Iterable[ModuleType | Any]) -> list[Source]:
    """Modules at hand, as a test or a notebook has them."""
    return [Source(getattr(m, "__name__", repr(m)), "given", "", m, "given") for m in modules]
