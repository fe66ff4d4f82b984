"""`export`: a model in another layout of files."""

from __future__ import annotations

import gc
import os
import pathlib
from typing import Any

import click

from composer.cli import output
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb
from composer.errors import UsageError, fail, printable


@click.command(
    cls=Verb,
    examples=(
        "export ./checkpoint-folder -o ./published --layout hf",
        "export pocket-mistral -o ./mine --layout composer",
        "export my-model.yaml -o ./config --layout hf",
    ),
)
@click.argument("model")
@click.option("-o", "--out", required=True, metavar="FOLDER", help="The folder to write.")
@click.option("--layout", default="hf", show_default=True, help="The layout; a wrong name lists all.")
@click.option("--dtype", help="The precision to write; by default the one that is stored.")
@click.option("--force", is_flag=True, help="Write into a folder that holds files.")
@plugin_options
def verb(model: str, out: str, layout: str, dtype: str | None, force: bool) -> None:
    """Write a model in another layout.

    hf is what the transformers library reads; composer has our names and the spec, and fits any model; further
    ones are those in which authors publish. Tokenizer and generation defaults go along, and the folder changes
    at once or not at all. A model that a layout cannot describe is refused, with the fields that do not fit.

    MODEL is a checkpoint folder or the name of a shipped model. Of a spec, which has no weights, only the
    configuration is written.
    """
    from composer.store.save import check_layout

    check_layout(layout)
    check_target(pathlib.Path(out), force)
    folder = weights_folder(model)
    if folder is None:
        configuration(model, out, layout, dtype, force)
    else:
        checkpoint(folder, out, layout, dtype)
    output.data(printable(out))


def check_target(folder: pathlib.Path, force: bool) -> None:
    """A folder with files in it is written into only if that was asked for, a file never.  Raises E912."""
    if os.path.lexists(folder) and not folder.is_dir():
        fail(UsageError, "E912", f"{folder} is a file", hint="give another name")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        hint = "give another name, or --force to write into it"
        fail(UsageError, "E912", f"{folder} holds files already", hint=hint)


def weights_folder(what: str) -> pathlib.Path | None:
    """The folder with the weights of a model argument; None for a spec."""
    from composer.cli.models import weights_of
    from composer.shipped import shipped_weights, spec_file

    path = pathlib.Path(what)
    is_spec = path.suffix in (".yaml", ".yml") or spec_file(what) is not None
    return None if is_spec and not path.is_dir() and not shipped_weights(what) else weights_of(what)


def configuration(model: str, out: str, layout: str, dtype: str | None, force: bool) -> None:
    """The small file of a layout that says what the architecture is."""
    from composer.cli.files import create_text, replace_text
    from composer.cli.generate import dtype_named
    from composer.cli.models import read_model
    from composer.store.save import described

    plan = read_model(model)
    files = described(plan, layout, dtype_named(dtype) if dtype else None)
    os.makedirs(out, exist_ok=True)
    for name, content in files.items():
        file = os.path.join(out, name)
        (replace_text if force and os.path.exists(file) else create_text)(file, content.decode())
    output.talk(f"{printable(plan.name)} is a spec, which has no weights: only the configuration is written")


def checkpoint(folder: pathlib.Path, out: str, layout: str, dtype: str | None) -> None:
    """The whole checkpoint."""
    from composer.cli.generate import dtype_named
    from composer.store import load, save

    gc.enable()
    tokenizer = tokenizer_of(folder)
    model = load(folder, dtype=dtype_named(dtype) if dtype else None)
    save(model, out, layout=layout, tokenizer=tokenizer)


def tokenizer_of(folder: pathlib.Path) -> Any:
    """The tokenizer of a folder; None, and a word about it, where there is none."""
    from composer.text import load_tokenizer
    from composer.text.files import has_tokenizer

    if has_tokenizer(folder):
        return load_tokenizer(folder)
    output.talk(f"{printable(str(folder))} has no tokenizer, so none is written")
    return None
