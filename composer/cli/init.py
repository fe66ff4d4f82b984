"""`init`: a spec to start from."""

from __future__ import annotations

import os

import click

from composer.cli import output
from composer.cli.files import create_text, replace_text
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb
from composer.errors import UsageError, fail, printable

ENDINGS = (".yaml", ".yml")


@click.command(
    cls=Verb,
    examples=(
        "init my-model --like pocket-mistral",
        "init specs/wide.yaml --like my-model.yaml --force",
        "init theirs --like ./checkpoint-folder",
    ),
)
@click.argument("name")
@click.option(
    "--like", required=True, metavar="SPEC", help="The model to start from: a spec, or a checkpoint folder."
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@plugin_options
def verb(name: str, like: str, force: bool) -> None:
    """Write a commented spec to start from.

    NAME.yaml then holds every value of another spec, and beside it what each is for. It needs no other file: what
    the other one inherits is written out.
    """
    from composer.cli.models import spec_of
    from composer.describe.starter import starter_text
    from composer.plugins import catalog
    from composer.resolving import resolve

    file = file_of(name)
    check_free(file, force)
    spec = spec_of(like)
    resolve(spec)  # what is wrong with it is told before anything is written
    called = os.path.splitext(os.path.basename(file))[0]
    text = starter_text(spec, called, begun_from(like), catalog(), file)
    write(file, text, force)
    output.data(printable(file))


def file_of(name: str) -> str:
    """The file of a name, which may be in a folder and may have its ending."""
    path = name if name.endswith(ENDINGS) else f"{name}.yaml"
    folder, base = os.path.split(path)
    if not base.isprintable() or base.startswith(".") or len(base) > 200:
        fail(
            UsageError, "E911", f"{name!r} cannot be the name of a spec", hint="give a name such as my-model"
        )
    if not os.path.isdir(folder or "."):
        fail(UsageError, "E911", f"there is no folder {folder!r}", hint="make the folder first")
    return path


def check_free(file: str, force: bool) -> None:
    """Nothing is overwritten unless that was asked for, and a folder never is."""
    if os.path.isdir(file):
        fail(UsageError, "E912", f"{file} is a folder", hint="give another name")
    if os.path.lexists(file) and not force:
        fail(
            UsageError, "E912", f"{file} is there already", hint="give another name, or --force to replace it"
        )


def begun_from(like: str) -> str:
    """What the new spec says of the other one."""
    return "a spec on stdin" if like == "-" else printable(os.path.basename(os.path.normpath(like)))


def write(file: str, text: str, force: bool) -> None:
    """The new file, or the new text of the old one."""
    if force and os.path.exists(file):
        replace_text(file, text)
        return
    try:
        create_text(file, text)
    except FileExistsError:
        check_free(file, force=False)
        raise
