"""The catalog: every usable kind of block, where each is from, and what is wrong with the plugins that are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..block import Block
from ..errors import Problem, did_you_mean
from .sources import Origin, called


@dataclass(frozen=True)
class Offer:
    """One kind of block and the plugin it comes from; `plugin` is the path of a local file."""

    block: type[Block]
    plugin: str
    distribution: str
    version: str
    origin: Origin = "installed"

    @property
    def where(self) -> str:
        """The origin, and the path of what is local."""
        return f"local ({self.plugin})" if self.origin == "local" else self.origin


@dataclass(frozen=True)
class Plugin:
    """One plugin that was to be loaded: what it offers, how long that took, and why it is unusable, if it is."""

    name: str
    distribution: str
    version: str
    origin: Origin = "installed"
    kinds: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0

    @property
    def called(self) -> str:
        """What errors call it."""
        return called(self.name, self.distribution, self.origin)

    @property
    def where(self) -> str:
        """The origin, and the path of what is local."""
        return f"local ({self.name})" if self.origin == "local" else self.origin


@dataclass(frozen=True)
class Catalog:
    """Every usable kind of block, and what is wrong with the plugins that are not.

    `plugins` are all that were to be loaded, `left_out` names those that are installed and were not.
    """

    offers: Mapping[str, Offer]
    problems: tuple[Problem, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    left_out: tuple[str, ...] = ()

    def __getitem__(self, kind: str) -> type[Block]:
        return self.offers[kind].block

    def __contains__(self, kind: object) -> bool:
        return kind in self.offers

    def unknown(self, kind: str) -> str:
        """A hint for a kind that is not here: the plugin that is left out, the nearest, and what is broken."""
        if kind in self.left_out:
            return f"the plugin {kind!r} is installed and left out by what limits plugins; name it there too"
        broken = "; ".join(f"{p.path}: {p.message}" for p in self.problems)
        near = (
            did_you_mean(kind, self.offers) or f"installed kinds: {', '.join(sorted(self.offers)) or 'none'}"
        )
        absent = f"; plugins left out: {', '.join(self.left_out)}" if self.left_out else ""
        file = "; if it is in a file: --plugin FILE.py"
        return near + absent + file + (f"; unusable plugins: {broken}" if broken else "")
