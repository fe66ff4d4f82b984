"""From sources to a catalog: each plugin on its own, then what only shows when they come together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from ..block import Block
from ..errors import Problem, did_you_mean
from .data import clashes
from .foreign import foreign_composer
from .limiting import LIMIT, Limits, limits
from .loading import Loaded, load
from .local import LocalFile
from .offers import Catalog, Offer, Plugin
from .sources import Source, given_sources, installed_sources, local_source
from .timing import IMPORT, allowed

# Whose a block or a module is: an error is told of a plugin also where no catalog is at hand.
_sources: WeakKeyDictionary[type[Block], Source] = WeakKeyDictionary()
_modules: dict[str, Source] = {}


def catalog(
    *modules: ModuleType | Any,
    files: Iterable[str | os.PathLike[str]] | None = None,
    only: Iterable[str] | str | None = None,
) -> Catalog:
    """The catalog of the installed plugins and the local files that the process was given.

    `modules` make one of exactly these; `files` and `only` replace what the process says (see `using`).
    """
    if modules:
        return gather(given_sources(modules))
    return installed(limits(files, only))


@cache
def installed(within: Limits) -> Catalog:
    """The catalog of every entry point of the group and every local file, within limits.  Raises PluginError E416."""
    allowed(IMPORT)  # a limit that is none is told once, not by every plugin
    known = installed_sources()
    wanted = [source for source in known if within.only is None or source.name in within.only]
    found = gather([*wanted, *(local_source(file) for file in within.files if file.stamp)])
    names = sorted({source.name for source in known})
    foreign = foreign_composer(sys.path, Path(__file__).parents[1])
    absent = [not_installed(name, within, names) for name in sorted(within.only or ()) if name not in names]
    missing = [not_there(file) for file in within.files if not file.stamp]
    problems = (*foreign, *absent, *missing, *found.problems, *clashes(found))
    left_out = tuple(name for name in names if within.only is not None and name not in within.only)
    return replace(found, problems=problems, left_out=left_out)


def not_installed(name: str, within: Limits, known: Iterable[str]) -> Problem:
    """A limit names a plugin that is not there."""
    hint = did_you_mean(name, known) or "arch-composer plugins lists them"
    message = f"{within.where} names the plugin {name!r}, which is not installed"
    return Problem("E409", message, path=name, hint=hint)


def not_there(file: LocalFile) -> Problem:
    """A local file that does not exist."""
    near = did_you_mean(file.path.name, (path.name for path in file.path.parent.glob("*.py")))
    return Problem("E417", f"there is no plugin file {file.path}", path=str(file.path), hint=near)


def gather(sources: Iterable[Source]) -> Catalog:
    """Load each source on its own and collect what it offers."""
    every = [load(source) for source in sources]
    offers: dict[str, list[Offer]] = {}
    for each in every:
        _modules[each.source.module] = each.source
        for block in each.blocks:
            _sources[block] = each.source
            offers.setdefault(block.kind, []).append(offer_of(block, each.source))
    clashes = [duplicate(kind, several) for kind, several in offers.items() if len(several) > 1]
    usable = {kind: several[0] for kind, several in sorted(offers.items()) if len(several) == 1}
    problems = (*(problem for each in every for problem in each.problems), *clashes)
    return Catalog(usable, problems, tuple(map(plugin_of, every)))


def offer_of(block: type[Block], source: Source) -> Offer:
    """One kind, with where it is from."""
    return Offer(block, source.name, source.distribution, source.version, source.origin)


def plugin_of(each: Loaded) -> Plugin:
    """What a list of plugins tells of one."""
    source, kinds = each.source, tuple(block.kind for block in each.blocks)
    return Plugin(
        source.name,
        source.distribution,
        source.version,
        source.origin,
        kinds,
        tuple(each.folders),
        each.problems,
        each.seconds,
    )


def duplicate(kind: str, several: list[Offer]) -> Problem:
    """Plugins offer one kind: none of them is used."""
    names = " and ".join(
        f"the file {o.plugin}" if o.origin == "local" else f"{o.plugin!r} of {o.distribution}"
        for o in several
    )
    hint = f"uninstall one, or name the plugins to load in {LIMIT}"
    if any(offer.origin == "local" for offer in several):
        hint = f"leave out --plugin, or change the kind in the file, or limit the installed ones by {LIMIT}"
    return Problem(
        "E406",
        f"the kind {kind!r} is offered by {names}; none of them is used",
        path=several[0].plugin,
        hint=hint,
    )


def called(block: type[Block]) -> str:
    """What errors call the plugin that a block is from."""
    source = next((_sources[each] for each in block.__mro__ if each in _sources), None)
    return source.called if source else f"{block.__module__}.{block.__qualname__}"


def source_of_module(name: str) -> Source | None:
    """The plugin that a module belongs to."""
    while name and name not in _modules:
        name = name.rpartition(".")[0]
    return _modules.get(name)
