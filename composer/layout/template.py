"""Plain data in which strings that begin with "= " are expressions, keys of mappings included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import Path
from .expressions import Expression
from .tree import Absent, ExpressionProblem

Parse = Callable[[str, Path], Expression]


class UnfilledError(Exception):
    """Every expression of a template that had no value: its key path, itself, and why."""

    def __init__(self, found: list[tuple[Path, Expression, ExpressionProblem]]) -> None:
        super().__init__(found)
        self.found = found


class Template:
    """Data with expressions in it, parsed once and filled as often as there are configurations.

    An expression whose value is a template stands for what that one is filled with.
    """

    def __init__(self, data: Any, path: Path, parse: Parse) -> None:
        self._path = path
        self.tree = _parsed(data, path, parse)

    def expressions(self) -> Iterator[Expression]:
        """Every expression, in order."""
        return _expressions(self.tree)

    def fill(self, names: Mapping[str, Any]) -> Any:
        """The data with every expression replaced by its value; a key whose value is `absent` is left out.

        Raises `UnfilledError`.
        """
        failed: list[tuple[Path, Expression, ExpressionProblem]] = []
        filled = _filled(self.tree, self._path, names, failed)
        if failed:
            raise UnfilledError(failed)
        return filled


def _parsed(data: Any, path: Path, parse: Parse) -> Any:
    if isinstance(data, str):
        return parse(data[2:], path) if data.startswith("= ") else data
    if isinstance(data, dict):
        return {
            _parsed(key, (*path, key), parse): _parsed(value, (*path, key), parse)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_parsed(value, (*path, at), parse) for at, value in enumerate(data)]
    return data


def _expressions(tree: Any) -> Iterator[Expression]:
    if isinstance(tree, Expression):
        yield tree
    for part in [*tree, *tree.values()] if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _expressions(part)


def _filled(tree: Any, path: Path, names: Mapping[str, Any], failed: list[Any]) -> Any:
    if isinstance(tree, Expression):
        try:
            value = tree.present(names)
        except ExpressionProblem as problem:
            failed.append((path, tree, problem))
            return None
        return _filled(value.tree, path, names, failed) if isinstance(value, Template) else value
    if isinstance(tree, dict):
        return dict(_entries(tree, path, names, failed))
    if isinstance(tree, list):
        return [_filled(value, (*path, at), names, failed) for at, value in enumerate(tree)]
    return tree


def _entries(tree: Any, path: Path, names: Mapping[str, Any], failed: list[Any]) -> Iterator[tuple[Any, Any]]:
    for key, value in tree.items():
        name = _filled(key, (*path, getattr(key, "text", key)), names, failed)
        filled = _filled(value, (*path, name), names, failed)
        if not isinstance(filled, Absent):
            yield name, filled
