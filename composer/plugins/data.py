"""Data that is shipped: specs and families, of the host and of plugins, each with who ships it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import Problem

if TYPE_CHECKING:
    from .offers import Catalog

Kind = Literal["specs", "families"]
OURS = "arch-composer"


@dataclass(frozen=True)
class Shipped:
    """One file, and what errors call those who ship it."""

    path: Path
    who: str = OURS

    def __str__(self) -> str:
        return f"{self.who} ({self.path})"


@cache
def specs_folder() -> Path:
    """The folder of the host's own specs: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "_specs"
    return inside if inside.is_dir() else package.parent / "specs"


def own_data() -> dict[Kind, Path]:
    """The host's own folders of each kind of data."""
    return {"specs": specs_folder(), "families": specs_folder() / "families"}


def folders(catalog: Catalog, kind: Kind) -> list[Shipped]:
    """Every folder of one kind of data: the host's, then those of plugins."""
    theirs = [Shipped(folder / kind, each.called) for each in catalog.plugins for folder in each.folders]
    return [Shipped(own_data()[kind]), *theirs]


def files(catalog: Catalog, kind: Kind) -> Iterator[Shipped]:
    """Every file of one kind of data."""
    for folder in folders(catalog, kind):
        for path in sorted(folder.path.glob("*.yaml")):
            yield Shipped(path, folder.who)


def by_name(shipped: Iterable[Shipped]) -> dict[str, list[Shipped]]:
    """Files by their names without ending; a name that comes twice is a clash."""
    found: dict[str, list[Shipped]] = {}
    for each in shipped:
        found.setdefault(each.path.stem, []).append(each)
    return found


def clash(what: str, name: str, several: Iterable[Shipped]) -> Problem:
    """Several ship something of one name: none of them is used."""
    message = f"the {what} {name!r} is shipped by {' and by '.join(map(str, several))}; none of them is used"
    hint = "give the path of one, uninstall one, or name the plugins to load in COMPOSER_PLUGINS"
    return Problem("E420", message, path=name, hint=hint)


def clashes(catalog: Catalog) -> list[Problem]:
    """Every spec whose name several ship."""
    if not any(each.folders for each in catalog.plugins):
        return []
    named = by_name(files(catalog, "specs"))
    return [clash("spec", name, several) for name, several in named.items() if len(several) > 1]
