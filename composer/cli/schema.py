"""`schema`: what editors need to complete and check specs."""

from __future__ import annotations

import click

from composer.cli import output
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb


@click.command(
    cls=Verb,
    examples=(
        "schema > spec.schema.json",
        'schema | jq \'."$defs"["block attention"]\'',
        "COMPOSER_PLUGINS=attention arch-composer schema",
    ),
)
@plugin_options
def verb() -> None:
    """Print the JSON Schema of specs, for editors.

    It holds the options of every installed block. In an editor the first line of a spec names it:

    # yaml-language-server: $schema=spec.schema.json
    """
    from composer.describe.schema import describable, spec_schema
    from composer.plugins import catalog

    found = describable(catalog())
    output.json_data(spec_schema(found))
    output.tell(found.problems)
