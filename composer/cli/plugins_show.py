"""`plugins show`: what a kind of block is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from composer.cli import output
from composer.cli.loading import plugin_options
from composer.cli.plugins_list import PluginVerb
from composer.cli.verbs import json_option
from composer.errors import PluginError, UsageError, fail, printable

if TYPE_CHECKING:
    from composer.block import Block
    from composer.describe.kinds import Option, Sample
    from composer.plugins import Catalog, Offer

LONG = 48  # characters of what an option takes, past which it stands below the table


@click.command(
    cls=PluginVerb,
    examples=(
        "plugins show attention",
        "plugins show mlp --json",
        "plugins show my_block --plugin my_block.py",
    ),
)
@click.argument("kind")
@plugin_options
@json_option
def verb(kind: str, as_json: bool) -> None:
    """Show a kind of block: options, parameters, origin.

    KIND is what a spec writes behind `kind:`. What is declared is that of each sample: small options which the
    plugin names for that.
    """
    from composer.describe.kinds import options_of
    from composer.plugins import catalog

    offer = offer_of(kind, catalog())
    options, samples = options_of(offer.block), samples_shown(offer.block)
    if as_json:
        output.json_data(as_data(kind, offer, samples))
    else:
        output.data("\n".join(text(kind, offer, options, samples)))


def offer_of(kind: str, found: Catalog) -> Offer:
    """Who offers a kind.  Raises UsageError E917, with what kept plugins out."""
    if kind in found:
        return found.offers[kind]
    if found.problems:
        output.tell(found.problems)
    fail(UsageError, "E917", f"no plugin offers a block of kind {kind!r}", hint=found.unknown(kind))


def samples_shown(block: type[Block]) -> list[Sample]:
    """The samples of a kind and what they declare; one that fails is told and left out."""
    from composer.describe.kinds import named, sample, samples_of

    shown, doing = [], "samples()"
    try:
        for options, site in samples_of(block):
            doing = f"the sample {named(options)}"
            shown.append(sample(options, site))
    except PluginError as error:
        output.tell(error.problems)
    except ValueError as error:
        output.talk(f"{doing} cannot stand where it says: {printable(str(error))}")
    return shown


def text(kind: str, offer: Offer, options: list[Option], samples: list[Sample]) -> Iterator[str]:
    """The kind for people."""
    from composer.describe.kinds import about
    from composer.describe.report import table

    yield f"{kind}, of {whose(offer)}"
    yield f"{source_of(offer.block)}, interface {offer.block.api}"
    if said := about(offer.block):
        yield f"\n{said}"
    rows = [(each.name, short(each), each.default, each.about) for each in options]
    yield ""
    yield from table(("option", "takes", "default", "is"), "<<<<", iter(rows)) if rows else ("no options",)
    for each in options:
        if len(each.takes) > LONG:
            yield f"\n{each.name}: {printable(each.takes)}"
    for number, sample in enumerate(samples):
        yield from ("", *declared(sample)) if number == 0 else (f"also {headline(sample)}",)
    if not samples:
        yield f"\n{kind} has no samples, so what it declares is not shown, and `plugins test` has nothing to try"


def whose(offer: Offer) -> str:
    """The plugin and how it came here."""
    if offer.origin == "local":
        return f"a local file ({printable(offer.plugin)})"
    return f"plugin {offer.plugin}, {offer.distribution} {offer.version}, {offer.origin}"


def source_of(block: type[Block]) -> str:
    """The file and the line of a class."""
    try:
        return f"{printable(inspect.getsourcefile(block) or '')}:{inspect.getsourcelines(block)[1]}"
    except (OSError, TypeError):
        return f"{block.__module__}.{block.__qualname__}"


def short(option: Option) -> str:
    """What an option takes, where that fits in a column."""
    return option.takes if len(option.takes) <= LONG else f"{option.takes[: LONG - 8].rpartition(',')[0]}, …"


def declared(sample: Sample) -> Iterator[str]:
    """What a sample declares: parameters, memory, cost."""
    from composer.describe.report import table

    yield f"sample {headline(sample)}"
    rows = [
        (name, "×".join(map(str, param.shape)), param.init) for name, param in sample.declared.parameters()
    ]
    yield from (f"  {line}" for line in table(("parameter", "shape", "drawn as"), "<<<", iter(rows)))


def headline(sample: Sample) -> str:
    """A sample in a line."""
    from composer.describe.kinds import named
    from composer.describe.page_blocks import memory

    site, held = sample.site, memory(sample.declared.slot)
    work = "FLOPs unknown" if sample.flops is None else f"{sample.flops:,} FLOPs for the 256th token"
    place = f"{site.reads} wide" if site.reads == site.writes else f"reads {site.reads}, writes {site.writes}"
    return f"{printable(named(sample.block))}, {place}: {sample.count:,} parameters, remembers {held}, {work}"


def as_data(kind: str, offer: Offer, samples: list[Sample]) -> dict[str, Any]:
    """The kind for a program; options as a JSON Schema."""
    from composer.describe.kinds import about
    from composer.describe.schema import tidy
    from composer.plugins.calling import schema

    return {
        "kind": kind,
        "plugin": offer.plugin,
        "distribution": offer.distribution,
        "version": offer.version,
        "origin": offer.origin,
        "source": source_of(offer.block),
        "api": offer.block.api,
        "about": about(offer.block),
        "options": tidy(schema(offer.block)),
        "samples": [sample.to_json() for sample in samples],
    }
