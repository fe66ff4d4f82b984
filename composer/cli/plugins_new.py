"""`plugins new`: a package to start from."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

import click

from composer.cli import output
from composer.cli.scaffold import SUMMARIES, Package, requirement_for
from composer.cli.scaffold.naming import check_free, names_of
from composer.cli.verbs import Verb
from composer.errors import UsageError, fail, printable


@click.command(
    cls=Verb,
    examples=(
        "plugins new my-mixer",
        "plugins new my-attention --template attention",
        "plugins new my-ffn --template feedforward -o code/my-ffn",
    ),
)
@click.argument("name")
@click.option("-o", "--out", metavar="FOLDER", help="The folder to make; by default it is called like NAME.")
@click.option(
    "--template", type=click.Choice(list(SUMMARIES)), default="recurrent", show_default=True,
    help="The working block to start from.",
)  # fmt: skip
def verb(name: str, out: str | None, template: str) -> None:
    """Write a package with a block of your own.

    It can be installed and published as it is: a working block, whose kind is NAME, a spec with it, tests that hold
    it to the contract, and a README that says how to go on. Nothing is ever overwritten.
    """
    from composer.cli.files import create_folder
    from composer.plugins import catalog

    names, found = names_of(name), catalog()
    folder = out or names.distribution
    check_new(folder)
    check_free(names, {*found.offers, *found.left_out, *(plugin.name for plugin in found.plugins)})
    package = Package(names, template, requirement_for(running()))
    try:
        create_folder(folder, package.files())
    except FileExistsError:
        check_new(folder)
        raise
    output.data(printable(folder))
    output.talk(f"its README says how to install and test it; it offers the kind {names.kind!r}")


def check_new(folder: str) -> None:
    """Nothing may be where the package goes.  Raises UsageError E912."""
    if os.path.lexists(folder):
        what = "folder" if os.path.isdir(folder) else "file"
        hint = "give another name, or another folder with -o"
        fail(UsageError, "E912", f"there is a {what} {printable(folder)} already", hint=hint)


def running() -> str | None:
    """The version of this host, None where it is not installed."""
    try:
        return version("arch-composer")
    except PackageNotFoundError:
        return None
