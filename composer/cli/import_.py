"""`import`: a published configuration as a spec."""

from __future__ import annotations

import os
import pathlib

import click

from composer.cli import output
from composer.cli.init import check_free, file_of, write
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb
from composer.errors import UsageError, fail, printable


@click.command(
    cls=Verb,
    examples=(
        "import ./checkpoint-folder",
        "import ./checkpoint-folder/config.json -o theirs.yaml",
        "import params.json -o theirs.yaml --force",
    ),
)
@click.argument("config")
@click.option("-o", "--out", metavar="FILE", help="Write the spec there; by default it goes to stdout.")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@plugin_options
def verb(config: str, out: str | None, force: bool) -> None:
    """Write the spec of a published model.

    CONFIG is a config.json, a params.json, or a folder that holds one. The spec needs no other file; behind each
    value it says which key that comes from, and at its end which keys made no difference and why. What cannot be
    read is an error that names the key.
    """
    from composer.describe.imported import imported_text
    from composer.layout.importing import read_config

    file = config_in(config)
    target = file_of(out) if out else None
    if target:
        check_free(target, force)
    name = os.path.splitext(os.path.basename(target))[0] if target else name_of(file)
    text = imported_text(read_config(file.read_bytes(), str(file)), name, str(file), file.name)
    if target:
        write(target, text, force)
        output.data(printable(target))
    else:
        output.data(text, end="")


def config_in(what: str) -> pathlib.Path:
    """The configuration that was given, or that of a folder.  Raises UsageError E913."""
    from composer.cli.models import MOST_BYTES, SPEC, published_config

    path = pathlib.Path(what)
    check_no_spec(path)
    if path.is_file() and path.stat().st_size <= MOST_BYTES:
        return path
    found = published_config(path) if path.is_dir() else None
    if found is not None:
        return found
    if not os.path.lexists(path):
        fail(UsageError, "E913", f"there is no file and no folder {what!r}", hint="give a config.json")
    own = f"{what} has a spec of its own: {SPEC}" if (path / SPEC).is_file() else ""
    message = f"{what} is no configuration of a published model and holds none of a sensible size"
    fail(UsageError, "E913", message, hint=own or "give a config.json, a params.json or their folder")


def check_no_spec(path: pathlib.Path) -> None:
    """What is a spec already needs no import: a file of YAML, or the name of a shipped one.  Raises UsageError E913."""
    from composer.shipped import shipped_specs

    shipped = str(path) in shipped_specs() and not os.path.lexists(path)
    if shipped or (path.suffix.lower() in (".yaml", ".yml") and path.is_file()):
        message = (
            f"{path} is a spec already, and import reads a config.json, a params.json or a folder with one"
        )
        hint = f"to look at it: show {path}; to start a spec of your own from it: init NAME --like {path}"
        fail(UsageError, "E913", message, hint=hint)


def name_of(file: pathlib.Path) -> str:
    """A name for the model, after its folder."""
    from composer.layout.importing import spec_name

    return spec_name(file.parent)
