"""`train`: from a spec and a folder of text to a checkpoint."""

from __future__ import annotations

import gc
from dataclasses import asdict
from typing import Any

import click

from composer.cli import output
from composer.cli.fields import given, options_of
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb, json_option, like_option, set_option


class Train(Verb):
    """`train` has the options of training, which are not loaded before somebody asks."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The verb's own, then those of a run."""
        from composer.train import TrainOptions

        own = super().get_params(ctx)
        return [*own[:-1], *options_of(TrainOptions), own[-1]]


@click.command(
    cls=Train,
    examples=(
        "train pocket-mistral --text corpus/ --out runs/first --steps 2000",
        "train 'swa×3, full' --like my-model.yaml --text corpus/ --out runs/mixed --seed 1",
        "train 'swa×3, full' --like my-model.yaml --text corpus/ --out runs/mixed --resume",
    ),
)
@click.argument("spec")
@click.option("--text", required=True, metavar="FOLDER", help="Folder of the text files to learn from.")
@click.option(
    "--out", required=True, metavar="FOLDER", help="New or empty folder for everything that is written."
)
@click.option(
    "--resume", is_flag=True, help="Go on with the run in the folder, with its options, from its last save."
)
@like_option
@set_option
@plugin_options
@json_option
def verb(
    spec: str,
    text: str,
    out: str,
    resume: bool,
    like: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train a small model on a folder of text.

    One process, resumable. The folder then holds `checkpoint`, which `generate` takes and whose path is
    printed, and the loss in `loss.jsonl`.
    """
    gc.enable()
    from composer.cli.models import read_model
    from composer.train import train

    plan, settings = read_model(spec, assignments, like), given(options)
    report = asdict(train(plan, text, out, resume=resume, **settings))
    report["checkpoint"] = str(report["checkpoint"])
    if as_json:
        output.json_data(report)
        return
    output.data(report["checkpoint"])
    bits = report["held_out_bits_per_byte"]
    held_out = "" if bits is None else f"; held-out text takes {bits:.3f} bits a byte"
    output.talk(f"{report['steps']:,} steps, {report['tokens']:,} tokens{held_out}")
