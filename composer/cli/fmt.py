"""`fmt`: the pattern of a spec in its canonical form, and not one other byte changed."""

from __future__ import annotations

import difflib
from typing import Any

import click

from composer.cli import output
from composer.cli.files import replace_text
from composer.cli.verbs import Verb
from composer.errors import ComposerError


@click.command(
    cls=Verb, examples=("fmt my-model.yaml", "fmt --check specs/*.yaml", "fmt --diff my-model.yaml")
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
def verb(files: tuple[str, ...], check: bool, diff: bool) -> int:
    """Write patterns in canonical form.

    Only the text of the pattern changes; every other byte of a file, comments included, stays.
    """
    codes = [one(file, check, diff) for file in files]
    return max(codes)


def one(file: str, check: bool, diff: bool) -> int:
    """Format one file, or say what would become of it."""
    try:
        before, after = formatted(file)
    except ComposerError as error:
        output.tell(error.problems)
        return 1
    if before == after:
        return 0
    if diff:
        output.data(difference(file, before, after), end="")
    elif not check:
        replace_text(file, after)
    output.talk(f"{file}: the pattern {'would be' if check or diff else 'is now'} in canonical form")
    return 1 if check else 0


def formatted(file: str) -> tuple[str, str]:
    """The text of a spec file before and after."""
    from composer.pattern import canonical, read_tracks, strings
    from composer.source import read_document, read_file, with_scalar

    document = read_file(file)
    before = document.text
    written: Any = document.data.get("pattern") if isinstance(document.data, dict) else None
    parts = dict(strings(written, ("pattern",)))
    if not parts or not all(isinstance(part, str) for part in parts.values()):
        return before, before  # no pattern of its own, or one that `check` refuses
    read_tracks(written, document)
    for path, part in parts.items():
        form = canonical(part)
        if form != part:
            document = read_document(with_scalar(document, path, form), file)
    return before, document.text


def difference(file: str, before: str, after: str) -> str:
    """What would change, as a patch."""
    lines = (before.splitlines(keepends=True), after.splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, fromfile=file, tofile=file))
