"""Which plugins a command line names: local files besides the installed ones, and a limit to those."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from composer.errors import PluginError, UsageError, fail, printable

FILES, ONLY = "composer.plugin files", "composer.only plugins"


def plugin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--plugin` and `--only-plugins`, for a verb that reads specs, checkpoints or plugins."""
    only = click.option(
        "--only-plugins", metavar="NAMES", expose_value=False, callback=note_only,
        help="Of the installed plugins load these alone: names with commas, or '' for none.",
    )  # fmt: skip
    file = click.option(
        "--plugin", metavar="FILE.py", multiple=True, expose_value=False, callback=note_files,
        help="Load a plugin from a file of your own, too; may be given several times.",
    )  # fmt: skip
    return file(only(command))


def note_files(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    """Keep the files until the verb begins, with those that were named in front of it."""
    ctx.meta[FILES] = (*ctx.meta.get(FILES, ()), *value)


def note_only(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Keep the limit until the verb begins; what is nearer to the verb wins."""
    if value is not None:
        ctx.meta[ONLY] = value


@contextmanager
def loading(ctx: click.Context, strict: bool) -> Iterator[None]:
    """Within, catalogs have what the command line names.

    Raises UsageError E916 for what is no file, and if `strict` the problems of what was named.
    """
    files, only = ctx.meta.get(FILES, ()), ctx.meta.get(ONLY)
    if not files and only is None:
        yield
        return
    from composer.plugins import using

    for file in files:
        check_file(file)
    with using(files, only):
        if strict:
            check_usable(files, only)
        yield


def check_file(file: str) -> None:
    """A plugin is in a file.  Raises UsageError E916."""
    name = printable(file)
    if os.path.isdir(file):
        hint = "name the file with the block; a folder that is a package is installed, with pip install -e"
        fail(UsageError, "E916", f"{name} is a folder", hint=hint)
    if not os.path.lexists(file):
        fail(UsageError, "E916", f"there is no file {name}", hint="give the path of a Python file")
    if not file.endswith(".py") or not os.path.isfile(file):
        fail(UsageError, "E916", f"{name} is no Python file", hint="a plugin's file ends in .py")


def check_usable(files: tuple[str, ...], only: str | None) -> None:
    """Nothing goes on without what was asked for.  Raises PluginError."""
    from composer.plugins import catalog

    found, paths = catalog(), {os.path.abspath(file) for file in files}
    named = paths | {part.strip() for part in (only or "").split(",")}
    lost = [kind for each in found.plugins if each.name in paths for kind in each.kinds if kind not in found]
    clashes = tuple(f"the kind {kind!r} " for kind in lost)
    wrong = [each for each in found.problems if each.path in named or each.message.startswith(clashes)]
    if wrong:
        raise PluginError(*wrong)
