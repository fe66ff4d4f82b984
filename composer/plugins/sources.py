"""Where plugins come from: entry points of installed distributions, local files, modules at hand."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from zlib import crc32

from .hooks import GROUP

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
    target: EntryPoint | Path | Any
    origin: Origin = "installed"
    requires: tuple[str, ...] = field(default=(), compare=False)

    @property
    def called(self) -> str:
        """What errors call it."""
        return called(self.name, self.distribution, self.origin)

    @property
    def module(self) -> str:
        """The module that it is, or the package that it is in."""
        if isinstance(self.target, Path):
            return module_name(self.target)
        return self.target.module.split(".")[0] if isinstance(self.target, EntryPoint) else self.name

    def load(self) -> Any:
        """Import it; whatever a plugin does at import is for the caller to hold."""
        if isinstance(self.target, Path):
            return module_of(self.target)
        return self.target.load() if isinstance(self.target, EntryPoint) else self.target


@dataclass(frozen=True)
class LocalFile:
    """A plugin in one file, by path, as it was when it was last written."""

    path: Path
    stamp: tuple[int, int] | None

    @property
    def source(self) -> Source:
        """The source in this file."""
        return Source(str(self.path), "", "", self.path, "local")


def local_file(path: str | os.PathLike[str]) -> LocalFile:
    """The file at a path, which need not be there; a change of the file makes it another one."""
    absolute = Path(os.path.abspath(path))
    try:
        status = absolute.stat()
    except (OSError, ValueError):
        return LocalFile(absolute, None)
    return LocalFile(absolute, (status.st_mtime_ns, status.st_size))


def module_name(path: Path) -> str:
    """A name for a local file that no other has."""
    return f"composer_local_{crc32(os.fsencode(path)):08x}_{path.stem}"


def module_of(path: Path) -> ModuleType:
    """Run a file as a module of its own, whose name no import statement would find."""
    name = module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def installed_sources() -> list[Source]:
    """Every entry point of the group, sorted by name; one that is listed twice comes once."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    facts: dict[int, Any] = {}  # to read the metadata of a distribution takes a millisecond: once is enough
    for point in points:
        if point.dist is not None and id(point.dist) not in facts:
            facts[id(point.dist)] = point.dist.metadata
    return list(dict.fromkeys(source_of(point, facts.get(id(point.dist))) for point in points))


def source_of(point: EntryPoint, facts: Any) -> Source:
    """The source behind an entry point, with the metadata of its distribution where there are any."""
    if facts is None:
        return Source(point.name, "unknown", "", point)
    requires = tuple(facts.get_all("Requires-Dist") or ())
    return Source(point.name, facts["Name"], facts["Version"], point, requires=requires)


def given_sources(modules: Iterable[ModuleType | Any]) -> list[Source]:
    """Modules at hand, as a test or a notebook has them."""
    return [Source(getattr(m, "__name__", repr(m)), "given", "", m, "given") for m in modules]
