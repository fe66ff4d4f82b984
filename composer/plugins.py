"""Which blocks exist: a hook, entry points loaded one by one, and the catalog they add up to.

A plugin that is broken, misspelt, duplicate or made for another host is reported by name and stops
nothing else: its problem is kept in the catalog and told to whoever asks for one of its kinds.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, files
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from .block import API, Block
from .errors import PluginError, Problem, did_you_mean

GROUP = "arch_composer"
LIMIT = "COMPOSER_PLUGINS"
RESERVED = frozenset({"extends", "branches", "reads", "out", "share", "adapters"})

hookspec = pluggy.HookspecMarker("composer")
hookimpl = pluggy.HookimplMarker("composer")


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def composer_blocks(self) -> list[type[Block]]:
        """Return the block classes that this plugin offers."""
        raise NotImplementedError


@dataclass(frozen=True)
class Offer:
    """One kind of block and the plugin it comes from."""

    block: type[Block]
    plugin: str
    distribution: str
    version: str


@dataclass(frozen=True)
class Catalog:
    """Every usable kind of block, and what is wrong with the plugins that are not."""

    offers: Mapping[str, Offer]
    problems: tuple[Problem, ...] = ()

    def __getitem__(self, kind: str) -> type[Block]:
        return self.offers[kind].block

    def __contains__(self, kind: object) -> bool:
        return kind in self.offers

    def unknown(self, kind: str) -> str:
        """A hint for a kind that is not here: the nearest one, and what kept plugins out."""
        broken = "; ".join(f"{p.path}: {p.message}" for p in self.problems)
        near = (
            did_you_mean(kind, self.offers) or f"installed kinds: {', '.join(sorted(self.offers)) or 'none'}"
        )
        return f"{near}; unusable plugins: {broken}" if broken else near


@dataclass(frozen=True)
class Source:
    """A plugin to load: an installed entry point, or a module at hand."""

    name: str
    distribution: str
    version: str
    target: EntryPoint | Any

    def load(self) -> Any:
        """Import it; whatever a plugin does at import is its own fault and is not let through."""
        return self.target.load() if isinstance(self.target, EntryPoint) else self.target


def catalog(*modules: ModuleType | Any) -> Catalog:
    """The catalog of the installed plugins, or of exactly the given modules."""
    if modules:
        return gather([Source(getattr(m, "__name__", repr(m)), "given", "", m) for m in modules])
    return installed(os.environ.get(LIMIT))


@cache
def installed(limit: str | None) -> Catalog:
    """The catalog of every entry point of the group; `limit` names the plugins to load, comma separated."""
    wanted = None if limit is None else {name.strip() for name in limit.split(",")}
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    sources = [source_of(point) for point in points if wanted is None or point.name in wanted]
    found = gather(list(dict.fromkeys(sources)))
    foreign = foreign_composer(sys.path, Path(__file__).parent)
    absent = [
        not_installed(name, points) for name in sorted(wanted or ()) if name not in {p.name for p in points}
    ]
    return replace(found, problems=(*foreign, *(p for p in absent if p), *found.problems))


def not_installed(name: str, points: Iterable[EntryPoint]) -> Problem | None:
    """The limit names a plugin that is not there; an empty name, which limits to nothing, is fine."""
    hint = did_you_mean(name, (point.name for point in points)) or "arch-composer plugins lists them"
    message = f"{LIMIT} names the plugin {name!r}, which is not installed"
    return Problem("E409", message, path=name, hint=hint) if name else None


def foreign_composer(search: Iterable[str], ours: Path) -> list[Problem]:
    """Another library's package called `composer`: elsewhere on the search path, or mixed into our folder."""
    places = [Path(entry) / "composer" for entry in search]
    known = ("plugins.py", "pattern")  # a second copy of this package is no stranger
    others = [p for p in places if (p / "__init__.py").is_file() and not any((p / k).exists() for k in known)]
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


def source_of(point: EntryPoint) -> Source:
    """The source behind an entry point."""
    name = point.dist.name if point.dist else "unknown"
    return Source(point.name, name, point.dist.version if point.dist else "", point)


def gather(sources: Iterable[Source]) -> Catalog:
    """Load each source on its own and collect what it offers."""
    offers: dict[str, list[Offer]] = {}
    problems: list[Problem] = []
    for source in sources:
        try:
            for block in blocks_of(source):
                offer = Offer(block, source.name, source.distribution, source.version)
                offers.setdefault(block.kind, []).append(offer)
        except PluginError as error:
            problems.extend(error.problems)
    problems.extend(duplicate(kind, several) for kind, several in offers.items() if len(several) > 1)
    usable = {kind: several[0] for kind, several in sorted(offers.items()) if len(several) == 1}
    return Catalog(usable, tuple(problems))


def blocks_of(source: Source) -> list[type[Block]]:
    """The checked blocks of one plugin; raises PluginError that names it."""
    manager = pluggy.PluginManager("composer")
    manager.add_hookspecs(Hooks)
    try:
        manager.register(source.load())
        manager.check_pending()
        offered = [block for blocks in manager.hook.composer_blocks() for block in blocks]
    except KeyboardInterrupt:
        raise
    except pluggy.PluginValidationError as error:
        raise refused(
            source,
            "E402",
            f"it does not fit the hooks of this host: {first_line(error)}",
            "the hook is `composer_blocks()`, without arguments",
        ) from error
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        raise refused(
            source, "E401", f"it failed to load: {type(error).__name__}: {first_line(error)}", ""
        ) from error
    if not manager.get_hookcallers(manager.get_plugins().pop()):
        raise refused(
            source,
            "E402",
            "it implements no hook of this host",
            "the hook is `composer_blocks()`; is it decorated with @composer.hookimpl?",
        )
    if not offered:
        raise refused(source, "E403", "it offers no block", "composer_blocks() returns a list of classes")
    for block in offered:
        check_offer(source, block)
    return offered


def check_offer(source: Source, block: Any) -> None:
    """Refuse what is no block, or is a block for another interface."""
    if not (isinstance(block, type) and issubclass(block, Block)):
        raise refused(
            source,
            "E403",
            f"it offers {block!r}, which is no subclass of composer.Block",
            "return classes, not instances",
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", str(getattr(block, "kind", ""))):
        raise refused(
            source,
            "E404",
            f"its block {block.__name__} has no usable kind",
            "set `kind: ClassVar[str]` to a name",
        )
    if block.api != API:
        raise refused(
            source,
            "E405",
            f"its block {block.kind!r} is written for plugin interface {block.api}, this host speaks {API}",
            "install versions that match",
        )
    for name in RESERVED.intersection(block.model_fields):
        raise refused(
            source,
            "E408",
            f"its block {block.kind!r} has an option {name!r}, which every entry of a spec has already",
            "give the option another name",
        )


def duplicate(kind: str, several: list[Offer]) -> Problem:
    """Two plugins offer one kind: neither is used."""
    names = " and ".join(f"{o.plugin!r} of {o.distribution}" for o in several)
    return Problem(
        "E406",
        f"the kind {kind!r} is offered by {names}; none of them is used",
        path=several[0].plugin,
        hint=f"uninstall one, or name the plugins to load in {LIMIT}",
    )


def refused(source: Source, code: str, message: str, hint: str) -> PluginError:
    """An error that names the plugin and its distribution."""
    return PluginError(
        Problem(
            code, f"plugin {source.name!r} of {source.distribution}: {message}", path=source.name, hint=hint
        )
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, if it has any."""
    try:
        return str(error).strip().splitlines()[0]
    except Exception:  # a plugin's own error may fail to say what it is
        return "no message"
