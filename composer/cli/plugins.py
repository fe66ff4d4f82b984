"""`plugins`: who offers which blocks, and who cannot be used."""

from __future__ import annotations

from typing import Any

import click

from composer.cli import output
from composer.cli.verbs import Verb, json_option


@click.command(
    cls=Verb,
    examples=("plugins", "plugins --json", "COMPOSER_PLUGINS=attention arch-composer plugins"),
)
@json_option
def verb(as_json: bool) -> int:
    """List plugins, their kinds of block, and what is broken.

    Exit code 1 if a plugin cannot be used. COMPOSER_PLUGINS, a list of names, limits which are loaded.
    """
    from composer.describe.report import table
    from composer.plugins import catalog

    found = catalog()
    rows = [plugin(name, found.offers) for name in sorted({offer.plugin for offer in found.offers.values()})]
    if as_json:
        output.json_data({"plugins": rows, "problems": [problem.to_json() for problem in found.problems]})
    else:
        cells = ((r["plugin"], r["distribution"], r["version"], ", ".join(r["kinds"])) for r in rows)
        output.data("\n".join(table(("plugin", "distribution", "version", "kinds"), "<<<<", cells)))
        output.tell(found.problems)
    return 1 if found.problems else 0


def plugin(name: str, offers: Any) -> dict[str, Any]:
    """One plugin as data."""
    own = [(kind, offer) for kind, offer in offers.items() if offer.plugin == name]
    _, first = own[0]
    return {
        "plugin": name,
        "distribution": first.distribution,
        "version": first.version,
        "kinds": [kind for kind, _ in own],
    }
