"""`verify`: does a model do what its plan says, however it is computed?"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import click

from composer.cli import output
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb, json_option, like_option, set_option
from composer.errors import UsageError, fail

if TYPE_CHECKING:
    from pathlib import Path

    from composer.plan import HeadKind
    from composer.spec import Spec

DTYPES = ("float32", "bfloat16", "float16", "float64")
HEADS = ("base", "causal-lm", "sequence-classification", "token-classification", "question-answering")
GIGABYTE = 10**9


@click.command(
    cls=Verb,
    examples=(
        "verify ./checkpoint-folder",
        "verify pocket-mistral --json",
        "verify 'swa×3, full' --like my-model.yaml --limit 32 --dtype bfloat16",
    ),
)
@click.argument("model")
@click.option(
    "--limit", type=click.FloatRange(min=0, min_open=True), metavar="GB",
    help="Memory that may be taken, in GB; by default most of what is free.",
)  # fmt: skip
@click.option(
    "--tokens", type=click.IntRange(min=4),
    help="Length of the text; by default past every window, where that is not too much work.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of ids, splits, weights."
)
@click.option(
    "--dtype", type=click.Choice(DTYPES), default=DTYPES[0], show_default=True,
    help="Type in which it is computed and compared.",
)  # fmt: skip
@like_option
@click.option(
    "--head", type=click.Choice(HEADS), help="What sits on the stream; by default what the folder names."
)
@set_option
@plugin_options
@json_option
def verb(
    model: str,
    limit: float | None,
    tokens: int | None,
    seed: int,
    dtype: str,
    like: str | None,
    head: HeadKind | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> int:
    """Verify that a model does what its plan says.

    Counted is allocated; cached is uncached, in any pieces; padding and packing are invisible; memory stays
    in its bound; weights are complete and survive saving; transformers has the same logits, where it is
    installed and knows the architecture. Each row says what was compared, how far it is apart and how far it
    may be. Exit code 1 if a row is WRONG; what is "not checked" is no pass.

    MODEL is a checkpoint folder or the name of a shipped model; or a spec, whose weights are then drawn as it
    says. Nothing is made smaller to fit into memory.
    """
    from composer.nn.device import DTYPES as KNOWN
    from composer.testing.verifying import verify

    gc.enable()
    found = verify(
        subject(model, assignments, like),
        dtype=KNOWN[dtype],
        tokens=tokens,
        seed=seed,
        head=head,
        limit=None if limit is None else int(limit * GIGABYTE),
        progress=lambda text: output.talk(f"… {text}"),
    )
    if as_json:
        output.json_data(found.to_json())
    else:
        output.data(str(found))
    return 1 if found.count("WRONG") else 0


def subject(what: str, assignments: tuple[str, ...], like: str | None) -> Spec | Path:
    """A folder with weights, else a spec; assignments ask for the spec.  Raises UsageError E909."""
    from composer.cli.models import spec_like, spec_of
    from composer.testing.verifying import weights_folder

    if like is not None:
        return spec_like(what, like, assignments)
    folder = weights_folder(what)
    if folder is None:
        return spec_of(what, assignments)
    if not assignments:
        return folder
    if str(folder) == what:
        hint = "verify the folder as it is, or the spec with --set"
        fail(UsageError, "E909", f"--set changes a spec, and {what} is a checkpoint folder", hint=hint)
    return spec_of(what, assignments)
