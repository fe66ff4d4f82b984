"""`plugins test`: does a plugin keep the contract?"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from composer.cli import output
from composer.cli.loading import check_file, plugin_options
from composer.cli.plugins_list import PluginVerb
from composer.cli.verbs import json_option
from composer.errors import PluginError, Problem, UsageError, did_you_mean, fail, printable

if TYPE_CHECKING:
    from composer.block import Block, Site
    from composer.plugins import Catalog, Offer
    from composer.testing import Outcome

WORDS = {"passed": "ok", "failed": "FAILS", "expected": "expected", "unexpected": "FAILS"}
PATIENCE = 180.0
"""Seconds that a check may take where the environment says nothing; compiling takes most."""


@dataclass(eq=False)
class Tried:
    """One sample and what came of each check, by its name."""

    block: Block
    site: Site
    outcomes: dict[str, Outcome] = field(default_factory=dict)


@click.command(
    cls=PluginVerb,
    examples=(
        "plugins test my_block.py",
        "plugins test attention --check chunks --check packing",
        "plugins test my-package --json",
    ),
)
@click.argument("what")
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="NAME",
    help="Run this check alone; may be given several times.",
)
@plugin_options
@json_option
def verb(what: str, checks: tuple[str, ...], as_json: bool) -> int:
    """Hold a plugin to the contract of blocks.

    WHAT is a Python file, or the name of a kind, of a plugin, or of an installed package. Each of its blocks names
    samples, small options to be tried; every check is run on every sample. Where one fails, the smallest case that
    was found to fail is shown, and what the block has to do. Exit code 1 if one fails; 2 if there is nothing to try.
    """
    from composer.plugins import using

    gc.enable()
    if is_file(what):
        check_file(what)
        with using([what]):
            return tested(of_file(what), checks, as_json)
    return tested(of_name(what), checks, as_json)


def is_file(what: str) -> bool:
    """Whether a file is meant, which need not be there."""
    return what.endswith(".py") or os.sep in what or os.path.isfile(what)


def of_file(path: str) -> list[Offer]:
    """What a file offers.  Raises PluginError with what is wrong with it."""
    from composer.cli.loading import check_usable
    from composer.plugins import catalog

    check_usable((path,), None)
    own = os.path.abspath(path)
    return [offer for offer in catalog().offers.values() if offer.plugin == own]


def of_name(what: str) -> list[Offer]:
    """What a kind, a plugin or a distribution stands for.

    Raises PluginError for a plugin that cannot be used, UsageError E917 for a name that nothing has.
    """
    from composer.plugins import catalog

    found = catalog()
    offers = [
        offer
        for kind, offer in found.offers.items()
        if what in (kind, offer.plugin, package_of(offer)) or plain(what) == plain(offer.distribution)
    ]
    if offers:
        return offers
    broken = [
        each for each in found.plugins if what == each.name or plain(what) == plain(each.distribution or "")
    ]
    problems = [problem for each in broken for problem in each.problems]
    if problems:
        raise PluginError(*problems)
    fail(UsageError, "E917", f"no kind, plugin or distribution is called {what!r}", hint=nearest(what, found))


def package_of(offer: Offer) -> str:
    """The package that a block is imported from."""
    return offer.block.__module__.partition(".")[0]


def nearest(what: str, found: Catalog) -> str:
    """What was meant instead of a name that nothing has."""
    if os.path.isdir(what):
        return "a folder is not tested: install it, as with pip install -e, and give its name"
    offers = found.offers.values()
    known = {*found.offers, *(o.plugin for o in offers), *(o.distribution for o in offers)}
    return did_you_mean(what, known) or found.unknown(what)


def plain(distribution: str) -> str:
    """The name of a distribution, however it is spelled."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def tested(offers: Iterable[Offer], checks: tuple[str, ...], as_json: bool) -> int:
    """Run the checks on every sample and print what came of them; the exit code."""
    from composer.testing.checks import chosen

    names, problems = chosen(checks or None), list[Problem]()
    found = [(offer, samples_of(offer, problems)) for offer in offers]
    empty = [no_samples(offer) for offer, samples in found if samples == []]
    for offer, samples in found:
        run(samples or [], names, problems)
        done = [each for each in samples or () if each.outcomes]
        if done and not as_json:
            output.data("\n".join(report(offer, done, names)))
    every = [outcome for _, samples in found for each in samples or () for outcome in each.outcomes.values()]
    if as_json:
        told = [problem.to_json() for problem in (*problems, *empty)]
        output.json_data({"outcomes": [outcome.to_json() for outcome in every], "problems": told})
    output.tell([*problems, *empty])
    good = not problems and all(outcome.good for outcome in every)
    return 1 if not good else 2 if empty else 0


def samples_of(offer: Offer, problems: list[Problem]) -> list[Tried] | None:
    """What a kind names to be tried; None, and a problem more, if it fails to."""
    from composer.describe.kinds import samples_of

    try:
        return [Tried(*each) for each in samples_of(offer.block)]
    except PluginError as error:
        problems += error.problems
        return None


def run(samples: list[Tried], names: list[str], problems: list[Problem]) -> None:
    """Every check on every sample, told as it goes; what keeps a sample from being tried is a problem more."""
    from composer.describe.kinds import named
    from composer.plugins.timing import allowed

    for number, each in enumerate(samples, 1):
        output.talk(f"… {number} of {len(samples)}: {printable(named(each.block))}")
        try:
            for name in names:
                outcome = each.outcomes[name] = checked(each, name)
                if not outcome.good and 0 < allowed(PATIENCE) <= outcome.seconds:
                    break  # it hangs, and would in every check that is left
        except PluginError as error:
            problems += error.problems


def checked(each: Tried, name: str) -> Outcome:
    """What came of one check.  Raises PluginError where the sample cannot stand, or the check does not end."""
    from composer.plugins.gathering import called
    from composer.plugins.holding import held
    from composer.plugins.timing import allowed
    from composer.testing import run_checks

    with held(called(type(each.block)), f"the check {name!r}", allowed(PATIENCE), passes=(PluginError,)):
        (outcome,) = run_checks(each.block, each.site, [name])
    return outcome


def report(offer: Offer, samples: list[Tried], names: list[str]) -> Iterator[str]:
    """The table of one kind, then what failed."""
    from composer.cli.plugins_show import whose
    from composer.describe.kinds import named
    from composer.describe.report import table

    yield f"{offer.block.kind}, of {whose(offer)}"
    for number, each in enumerate(samples, 1):
        place = f"{each.site.reads} wide" if each.site.reads == each.site.writes else ""
        place = place or f"reads {each.site.reads}, writes {each.site.writes}"
        yield f"  {number}  {printable(named(each.block))}, {place}"
    titles = ("check", *map(str, range(1, len(samples) + 1)))
    rows = ((name, *(word(each, name) for each in samples)) for name in names)
    yield ""
    yield from table(titles, "<" * len(titles), rows)
    yield ""
    yield from failures(samples)


def word(each: Tried, name: str) -> str:
    """What came of a check, in a cell."""
    return WORDS[each.outcomes[name].result] if name in each.outcomes else "-"


def failures(samples: list[Tried]) -> Iterator[str]:
    """Each failure with its smallest case and what to do, and the sums."""
    bad = [(each, outcome) for each in samples for outcome in each.outcomes.values() if not outcome.good]
    for each, outcome in told(bad):
        number = samples.index(each) + 1
        yield f"sample {number} fails {outcome.check}: {printable(outcome.message)}"
        for line in (outcome.counterexample or "").splitlines():
            yield f"   {printable(line)}"
        if outcome.hint:
            yield f"   hint: {printable(outcome.hint)}"
        yield ""
    total = sum(len(each.outcomes) for each in samples)
    seconds = sum(outcome.seconds for each in samples for outcome in each.outcomes.values())
    yield f"{total - len(bad)} of {total} checks passed, {len(bad)} failed, in {seconds:.1f} s"


def told(bad: list[tuple[Tried, Outcome]]) -> list[tuple[Tried, Outcome]]:
    """The failures to be explained: of a sample with a failure that others stand on, the root alone."""
    from composer.testing.checks import BASIS

    failed = {(id(each), outcome.check) for each, outcome in bad}
    roots = {id(each): next((n for n in BASIS if (id(each), n) in failed), None) for each, _ in bad}
    return [(each, outcome) for each, outcome in bad if roots[id(each)] in (None, outcome.check)]


def no_samples(offer: Offer) -> Problem:
    """A kind with nothing to try, and how to write that."""
    hint = (
        f"in the class {offer.block.__name__} write a classmethod `samples(cls)` which returns a list of small options "
        "and odd ones, as in [cls(width=8), cls(width=5, bias=True)]; (cls(...), Site(...)) also says where"
    )
    return Problem(
        "E918", f"the kind {offer.block.kind!r} has no samples, so there is nothing to try", hint=hint
    )
