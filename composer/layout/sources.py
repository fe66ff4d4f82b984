"""Where each value of an imported spec comes from: the keys of the configuration that were read for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Path
from .expressions import Expression
from .family import Family
from .template import Template
from .tree import Absent


@dataclass(frozen=True)
class Source:
    """Keys of the configuration that made a value: those it has, and those it lacks, which have a default."""

    present: tuple[str, ...]
    absent: tuple[str, ...]


class _Watched(dict[str, Any]):
    """A configuration that notes which of its keys are asked for."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.seen: dict[str, None] = {}

    def get(self, key: str, default: Any = None) -> Any:
        self.seen[key] = None
        return super().get(key, default)

    def taken(self) -> list[str]:
        """The keys since the last time."""
        found, self.seen = list(self.seen), {}
        return found


def sources_of(family: Family, config: Mapping[str, Any]) -> dict[Path, Source]:
    """By key path of the spec that the family makes of `config`; values that the family fixes have none.

    The configuration must be one that the family reads.
    """
    return dict(_Sources(family, config).walk(family.spec.tree, ()))


class _Sources:
    def __init__(self, family: Family, config: Mapping[str, Any]) -> None:
        self.config = config
        self.watched = _Watched({**family.file.defaults, **config})
        self.names: dict[str, Any] = {"c": self.watched, "parts": family.parts}
        self.behind: dict[str, list[str]] = {}
        for name, expression in family.let.items():
            self.names[name] = expression.value(self.names)
            self.behind[name] = self.keys(expression)

    def keys(self, expression: Expression) -> list[str]:
        """What was read since the last time, and what the named expressions in this one read."""
        named = [key for name in expression.names() for key in self.behind.get(name, ())]
        return list(dict.fromkeys([*self.watched.taken(), *named]))

    def walk(self, tree: Any, path: Path) -> Iterator[tuple[Path, Source]]:
        """The sources of a template and all of its parts."""
        if isinstance(tree, Expression):
            value = tree.value(self.names)
            keys = self.keys(tree)
            if isinstance(value, Template):
                yield from self.walk(value.tree, path)
            elif not isinstance(value, Absent) and keys:
                yield path, self.source(keys)
        for key, part in self.parts(tree):
            yield from self.walk(part, (*path, key))

    def parts(self, tree: Any) -> Iterator[tuple[str | int, Any]]:
        """What a mapping or a list holds, keys that are expressions as what they come to."""
        if isinstance(tree, list):
            yield from enumerate(tree)
        for key, part in tree.items() if isinstance(tree, dict) else ():
            yield (key.value(self.names) if isinstance(key, Expression) else key), part

    def source(self, keys: list[str]) -> Source:
        """A null is worth naming only where nothing else was found."""
        present = [key for key in keys if key in self.config]
        said = [key for key in present if self.config[key] is not None] or present
        return Source(tuple(said), () if said else tuple(key for key in keys if key in self.watched))
