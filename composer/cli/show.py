"""`show`: an architecture in numbers."""

from __future__ import annotations

import click

from composer.cli import output
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb, json_option, like_option, set_option

DTYPES = ("bfloat16", "float16", "float32", "float64")


@click.command(
    cls=Verb,
    examples=(
        "show my-model.yaml",
        "show pocket-mistral --context 100000 --batch 8 --set blocks.swa.sliding_window=1024",
        "show 'swa, swa(sliding_window=null)' --like pocket-mistral --plan",
    ),
)
@click.argument("model")
@click.option(
    "--context",
    type=click.IntRange(min=1),
    help="Tokens in a row; by default as many as the model is meant for.",
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Rows in the cache.")
@click.option(
    "--dtype", type=click.Choice(DTYPES), default=DTYPES[0], show_default=True,
    help="Type of weights, keys and values.",
)  # fmt: skip
@like_option
@click.option(
    "--plan", "whole", is_flag=True, help="Print the whole plan instead: every layer, option and tensor."
)
@set_option
@plugin_options
@json_option
def verb(
    model: str,
    context: int | None,
    batch: int,
    dtype: str,
    like: str | None,
    whole: bool,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what a model is made of and what it costs.

    Layer by layer: parameters, FLOPs of a token, bytes of a cache. Counts are exact; a FLOP is one addition
    or one multiplication.

    MODEL is the name of a shipped spec, a spec file, a checkpoint folder, or - for a spec on stdin. With --like it
    is a pattern, tracks as in 'mixer: swa, full; ffn: mlp'.
    """
    from composer.cli.models import read_model
    from composer.describe import plan_data, plan_text, summarise, summary_text

    plan = read_model(model, assignments, like)
    if whole and not as_json:
        output.data(plan_text(plan), end="")
        return
    summary = summarise(plan, context, batch, dtype)
    if as_json:
        output.json_data({**summary.to_json(), **({"plan": plan_data(plan)} if whole else {})})
    else:
        output.data(summary_text(summary))
