"""`check`: is a spec right?"""

from __future__ import annotations

from typing import Any

import click

from composer.cli import output
from composer.cli.verbs import Verb, json_option, set_option
from composer.errors import ComposerError


@click.command(
    cls=Verb,
    examples=(
        "check my-model.yaml",
        "check pocket-mistral --set layers=16",
        "check specs/*.yaml --json",
    ),
)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@set_option
@json_option
def verb(specs: tuple[str, ...], assignments: tuple[str, ...], as_json: bool) -> int:
    """Check specs and say all that is wrong.

    Every problem comes with file, line, column and a hint. Exit code 1 if there is one.
    """
    found = [each for what in specs for each in check(what, assignments, as_json)]
    if as_json:
        output.json_data(found)
    return 1 if found else 0


def check(what: str, assignments: tuple[str, ...], quiet: bool) -> list[dict[str, Any]]:
    """The problems of one spec as data; unless `quiet` they, or that there are none, are told at once."""
    from composer.cli.models import read_model

    try:
        plan = read_model(what, assignments)
    except ComposerError as error:
        if not quiet:
            output.tell(error.problems)
        return [{"spec": what, **problem} for problem in error.to_json()]
    if not quiet:
        output.data(f"ok: {plan.name}, {len(plan.layers):,} layers, {plan.parameter_count:,} parameters")
    return []
