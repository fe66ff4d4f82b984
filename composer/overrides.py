"""Options of blocks, layer by layer: what a layer says of them, who said it, and whether the block takes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from .block import Block, Declared, Site
from .errors import Path, Place, PluginError, Problem, dotted
from .origins import Origins, merge
from .plugins.calling import declared, settled, validated
from .source.invalid import problems_of, shown


@dataclass(frozen=True)
class Said:
    """A value of an option, the key path that says so, and the place where the path alone does not tell it."""

    value: Any
    path: Path
    place: Place | None = None


@dataclass
class Choice:
    """Options of one block at one layer."""

    values: dict[str, Said] = field(default_factory=dict)

    def override(self, key: str, said: Said) -> str | None:
        """Take a value from an override; the complaint if another override already gave a different one."""
        known = self.values.get(key)
        if known and known.path[0] == "overrides" and known.value != said.value:
            first = dotted(known.path[:2])
            return f"{key!r} is {shown(known.value)} by {first} and {shown(said.value)} here"
        self.values[key] = said
        return None


@dataclass
class OptionOrigins:
    """Places of a block's options, some of which come from the pattern, an override or the command line.

    `lineage` are the key paths whose options the block starts from, nearest first: its entry is the first, then
    what is final about a block that it extends, then that block's entry.
    """

    origins: Origins
    base: Path
    said: dict[str, Said] = field(default_factory=dict)
    lineage: tuple[Path, ...] = ()

    def inherited(self, path: Path) -> Path:
        """Where an option at a key path of the block's entry is written: there, or in what it starts from."""
        option = path[len(self.base) :]
        for end in range(len(option), 0, -1):
            for home in self.lineage:
                if self.origins.has((*home, *option[:end])):
                    return (*home, *option)
        return path

    def about(self, path: Path) -> Said | None:
        """Who said what the option at a key path of the block's entry is, if not the entry."""
        option = path[len(self.base) :]
        return self.said.get(str(option[0])) if option else None

    def written(self, option: str) -> bool:
        """Whether anybody says something of an option."""
        return option in self.said or any(self.origins.has((*home, option)) for home in self.lineage)

    def shown(self, path: Path) -> Path:
        """A key path of the block's entry, or of the override that changed what stands there."""
        said = self.about(path)
        if said is None:
            home = self.inherited(path)
            return ("blocks", *home[1:]) if home[:1] == ("final",) else home
        return (*said.path, *path[len(self.base) + 1 :]) if said.path[0] == "overrides" else path

    def place(self, path: Path, key: bool = False) -> Place | None:
        """The place of an option of the block."""
        said = self.about(path)
        if said is None:
            return self.origins.place(self.inherited(path), key)
        return said.place or self.origins.place((*said.path, *path[len(self.base) + 1 :]), key)


@dataclass
class Settled:
    """A block that was settled at its place with what it declares, or all that is wrong with its options there."""

    block: Block | None = None
    declared: Declared | None = None
    problems: tuple[Problem, ...] = ()


def settle(kind: type[Block], options: dict[str, Any], site: Site, origins: OptionOrigins) -> Settled:
    """The options of a block with what `origins` says on top, checked and settled."""
    for key, said in origins.said.items():
        options[key] = merge(options.get(key), said.value)
    at, name = origins.place(origins.base, key=True), dotted(origins.base)
    try:
        block = settled(validated(kind, options), site)
        return Settled(block, declared(block, site))
    except ValidationError as error:
        found = problems_of(error, origins, origins.base, kind)
    except ValueError as error:
        found = [Problem("E328", str(error), at, name)]
    except PluginError as error:
        found = [replace(problem, place=at, path=name) for problem in error.problems]
    return Settled(problems=tuple(found))


def told(
    found: Iterable[Problem], known: Iterable[Problem], own: Mapping[str, Any], origins: OptionOrigins
) -> Iterator[Problem]:
    """The problems of a block where their causes stand.

    Those that are `known` were told where the block has them from; `own` are the options written anew, whose
    problems are new.  A problem of the block as a whole is brought by one of its options.
    """
    whole = {problem.message: problem for problem in known}
    before = {(problem.message, option_of(problem)): problem for problem in known}
    for problem in found:
        path: Path = tuple(problem.path.split("."))
        if path == origins.base:
            yield whole.get(problem.message) or about_option(problem, own, origins)
            continue
        problem, option = replace(problem, path=dotted(origins.shown(path))), option_of(problem)
        yield problem if option[0] in own else before.get((problem.message, option), problem)


def about_option(problem: Problem, own: Mapping[str, Any], origins: OptionOrigins) -> Problem:
    """A problem of the whole block, told where the option stands that brought it: one written anew, if any was.

    It is the one that the sentence names, or whose value it names; of what was said on top it is the last.
    """
    words = re.findall(r"\w+", problem.message)
    values = {key: str(each.value if isinstance(each, Said) else each) for key, each in own.items()}
    named = [word for word in words if word in own]
    named += [key for key, value in values.items() if value in words]
    named += [*own][-1:] if origins.said else [word for word in words if origins.written(word)]
    if not named:
        return problem
    path: Path = (*origins.base, named[0])
    return replace(problem, place=origins.place(path), path=dotted(origins.shown(path)))


def option_of(problem: Problem) -> tuple[str, ...]:
    """The key path of an option inside its block; empty for the block as a whole."""
    path = problem.path.split(".")
    return tuple(path[2:] if path[0] == "blocks" else path[-1:])


def written(problem: Problem) -> bool:
    """Whether a problem is about an option that was written, not about one that may still come."""
    return problem.code in ("E301", "E303", "E304") and bool(option_of(problem))
