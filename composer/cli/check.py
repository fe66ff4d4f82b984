"""`check`: is a spec right?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from composer.cli import output
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb, json_option, like_option, set_option
from composer.errors import ComposerError, Problem, SpecError, UsageError, printable

if TYPE_CHECKING:
    from composer.plan import Plan


@click.command(
    cls=Verb,
    examples=(
        "check my-model.yaml --set layers=16",
        "check specs/*.yaml --json",
        "check 'swa×3, full' --like my-model.yaml",
    ),
)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@like_option
@set_option
@plugin_options
@json_option
def verb(specs: tuple[str, ...], like: str | None, assignments: tuple[str, ...], as_json: bool) -> int:
    """Check specs and say all that is wrong.

    Every problem comes with file, line, column and a hint. Exit code 1 if there is one.
    """
    found = [each for what in specs for each in check(what, assignments, as_json, like)]
    if as_json:
        output.json_data(found)
    return 1 if found else 0


def check(
    what: str, assignments: tuple[str, ...], quiet: bool, like: str | None = None
) -> list[dict[str, Any]]:
    """The problems of one spec as data; unless `quiet` they, or that there are none, are told at once."""
    from composer.cli.models import read_model

    try:
        plan = read_model(what, assignments, like)
        check_names(plan)
    except UsageError:
        raise
    except ComposerError as error:
        if not quiet:
            output.tell(error.problems)
        return [{"spec": what, **problem, "file": file_of(problem, what)} for problem in error.to_json()]
    if not quiet:
        output.data(
            f"ok: {printable(plan.name)}, {len(plan.layers):,} layers, {plan.parameter_count:,} parameters"
        )
    return []


def file_of(problem: dict[str, Any], what: str) -> str | None:
    """The file of a problem: also where it has no lines, because it cannot be read."""
    unread = problem["code"] in ("E101", "E102") and problem["file"] is None
    return what if unread else problem["file"]


def check_names(plan: Plan) -> None:
    """What a spec names for later: the family of its weights, and options of generation."""
    from composer.generate.options import GenerationOptions
    from composer.shipped import specs_folder

    weights, problems = plan.spec.weights, list[Problem]()
    try:
        if weights is not None and not (specs_folder() / "families" / f"{weights}.yaml").is_file():
            from composer.layout.family import family_named  # slow to import, and rarely wanted

            family_named(weights)
    except ComposerError as error:
        problems += [replace(p, place=plan.spec.origins.place(("weights",))) for p in error.problems]
    try:
        GenerationOptions(**plan.spec.generation)
    except ComposerError as error:
        problems += [in_generation(problem, plan) for problem in error.problems]
    if problems:
        raise SpecError(*problems)


def in_generation(problem: Problem, plan: Plan) -> Problem:
    """A problem of an option of generation, where the spec has it."""
    place = plan.spec.origins.place(("generation", problem.path.split(".")[0]), key=True)
    return replace(problem, place=place, path=f"generation.{problem.path}")
