"""Which plugins load: two environment variables, and what a command line says on top of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from .local import LocalFile, local_file

LIMIT = "COMPOSER_PLUGINS"
FILES = "COMPOSER_PLUGIN_FILES"


@dataclass(frozen=True)
class Limits:
    """`only` names the installed plugins to load (None: all), said in `where`; `files` are local ones besides."""

    only: tuple[str, ...] | None = None
    where: str = LIMIT
    files: tuple[LocalFile, ...] = ()


@dataclass(frozen=True)
class _Said:
    """What is said on top of the environment."""

    only: tuple[str, ...] | None = None
    files: tuple[str, ...] = ()


_said = _Said()


@contextmanager
def using(
    files: Iterable[str | os.PathLike[str]] = (), only: Iterable[str] | str | None = None
) -> Iterator[None]:
    """Within, every catalog of this process has these local files too, and of installed plugins `only` these.

    `files` add to COMPOSER_PLUGIN_FILES, `only` (names, or one string with commas) replaces COMPOSER_PLUGINS.
    """
    global _said
    before = _said
    names = before.only if only is None else names_in(only)
    _said = replace(before, only=names, files=(*before.files, *(os.fspath(file) for file in files)))
    try:
        yield
    finally:
        _said = before


def limits(
    files: Iterable[str | os.PathLike[str]] | None = None, only: Iterable[str] | str | None = None
) -> Limits:
    """What holds now; the arguments replace what the process says."""
    said, variable = _said, os.environ.get(LIMIT)
    paths = [*environment_files(), *said.files] if files is None else [*files]
    every = tuple(dict.fromkeys(map(local_file, paths)))
    if only is not None:
        return Limits(names_in(only), "only", every)
    if said.only is not None:
        return Limits(said.only, "--only-plugins", every)
    return Limits(None if variable is None else names_in(variable), LIMIT, every)


def environment_files() -> list[str]:
    """The paths in COMPOSER_PLUGIN_FILES, separated as in PATH."""
    return [path for path in os.environ.get(FILES, "").split(os.pathsep) if path]


def names_in(names: Iterable[str] | str) -> tuple[str, ...]:
    """Names in a list, or in a string with commas; empty ones are none."""
    parts = names.split(",") if isinstance(names, str) else names
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
