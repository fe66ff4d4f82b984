"""`plugins list`: who offers which blocks, and who cannot be used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from composer.cli import output
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb, json_option

if TYPE_CHECKING:
    from composer.plugins import Catalog, Plugin

TITLES = ("plugin", "distribution", "version", "origin", "kinds", "ships")


class PluginVerb(Verb):
    """A verb about plugins, those that cannot be used among them."""

    strict = False


@click.command(
    cls=PluginVerb,
    examples=(
        "plugins list",
        "plugins list --plugin my_block.py --json",
        "COMPOSER_PLUGINS=attention arch-composer plugins list",
    ),
)
@plugin_options
@json_option
def verb(as_json: bool) -> int:
    """List plugins, their kinds and origin, and what is broken.

    Exit code 1 if a plugin cannot be used. COMPOSER_PLUGINS or --only-plugins limits which of the installed ones
    are loaded; COMPOSER_PLUGIN_FILES or --plugin adds files.
    """
    return listed(as_json)


def listed(as_json: bool) -> int:
    """Print the list; the exit code."""
    from composer.plugins import catalog

    found = catalog()
    if as_json:
        output.json_data(as_data(found))
    else:
        print_list(found)
    return 1 if found.problems else 0


def print_list(found: Catalog) -> None:
    """The list for people; what is wrong is talk."""
    from composer.describe.report import table

    rows = (cells(plugin, found) for plugin in found.plugins)
    output.data("\n".join(table(TITLES, "<" * len(TITLES), rows)))
    if limit := limit_now():
        left_out = ", ".join(found.left_out) or "none"
        output.data(f"\n{limit['by']} limits the installed plugins; left out: {left_out}")
    output.tell(found.problems)


def cells(plugin: Plugin, found: Catalog) -> tuple[str, ...]:
    """One plugin in a line."""
    kinds = ", ".join(kind if usable(kind, plugin, found) else f"{kind} (unusable)" for kind in plugin.kinds)
    called = os.path.basename(plugin.name) if plugin.origin == "local" else plugin.name
    facts = (called, plugin.distribution or "-", plugin.version or "-", plugin.where)
    shipped = [*names(plugin, "specs"), *(f"family {name}" for name in names(plugin, "families"))]
    return (*facts, "unusable" if plugin.problems else kinds or "-", ", ".join(shipped) or "-")


def usable(kind: str, plugin: Plugin, found: Catalog) -> bool:
    """Whether a kind is this plugin's, and not lost to a clash."""
    return kind in found and found.offers[kind].plugin == plugin.name


def names(plugin: Plugin, what: str) -> list[str]:
    """Names of the specs or families that come with a plugin."""
    return sorted(file.stem for folder in plugin.folders for file in folder.glob(f"{what}/*.yaml"))


def as_data(found: Catalog) -> dict[str, Any]:
    """The list for a program."""
    return {
        "plugins": [
            {
                "plugin": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "origin": plugin.origin,
                "kinds": [kind for kind in plugin.kinds if usable(kind, plugin, found)],
                "specs": names(plugin, "specs"),
                "families": names(plugin, "families"),
                "seconds": round(plugin.seconds, 3),
                "problems": [problem.to_json() for problem in plugin.problems],
            }
            for plugin in found.plugins
        ],
        "limit": limit_now(),
        "left_out": list(found.left_out),
        "problems": [problem.to_json() for problem in found.problems],
    }


def limit_now() -> dict[str, Any] | None:
    """What limits the installed plugins: their names, and who says so; None where nothing does."""
    from composer.plugins import limits

    now = limits()
    return None if now.only is None else {"by": now.where, "only": list(now.only)}
