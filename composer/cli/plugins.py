"""`plugins`: what there is, what each is, whether it keeps the contract, and how to begin one."""

from __future__ import annotations

from typing import Any

import click

from composer.cli.loading import plugin_options
from composer.cli.plugins_list import listed
from composer.cli.verbs import Lazy, Verb, json_option


class Plugins(Verb, Lazy):
    """A verb that has verbs; without one it lists."""

    names = ("list", "new", "show", "test")
    prefix = "plugins_"
    strict = False


@click.command(
    cls=Plugins,
    invoke_without_command=True,
    subcommand_metavar="[VERB]...",
    examples=("plugins", "plugins show attention", "COMPOSER_PLUGINS=attention arch-composer plugins list"),
)
@plugin_options
@json_option
@click.pass_context
def verb(ctx: click.Context, as_json: bool) -> Any:
    """List, show, test and begin plugins; alone it lists.

    A plugin offers kinds of block. Installed ones are found by themselves; --plugin loads one from a file. No spec
    and no checkpoint can name code to be loaded.
    """
    return listed(as_json) if ctx.invoked_subcommand is None else None
