"""Write docs/config-fields.md anew: what every field of a published configuration decides.  `make docs` runs this."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from composer.layout.expressions import Expression
from composer.layout.family import Family, families
from composer.layout.tree import Node

MANY = 6
PAGE = Path(__file__).parent / "config-fields.md"
HEAD = """\
# The fields of configurations

For every family, each field of its configuration in the transformers library: its default, and the keys of a
[spec](writing-a-spec.md) that it decides.  A field that decides nothing is passed over, and the reason is told.  `*` is
the word of the pattern that the configuration decides itself.  This page is made from the files in `specs/families`; a
test changes each field and sees that the plan changes.  [families.md](families.md) has the keys that are not fields:
those of older files and those of every configuration.

"""


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(table(family) for family in families().values())


def table(family: Family) -> str:
    """The fields of one family; last those without a default of ours, because they decide nothing."""
    decided, defaults = decides(family), family.file.defaults
    fields = dict.fromkeys([*defaults, *family.file.ignored, *family.file.only])
    rows = (
        f"| `{field}` | {f'`{json.dumps(defaults[field])}`' if field in defaults else ''} | "
        f"{said(family, decided, field)} |\n"
        for field in fields
    )
    return "".join([f"## {family.name}\n\n| field | default | decides |\n|---|---|---|\n", *rows])


def said(family: Family, decided: Mapping[str, list[str]], field: str) -> str:
    """What a field does."""
    if field in decided:
        return ", ".join(gathered(decided[field]))
    if field in family.ignored:
        return f"nothing: {family.ignored[field]}"
    if field in family.only:
        return f"nothing, and may be {' or '.join(map(json.dumps, family.only[field]))} only"
    checks = (why for check, why in family.checks.items() if field in check.keys_of("c"))
    return f"nothing, and is checked: {next(checks)}"


def gathered(paths: list[str]) -> Iterator[str]:
    """Key paths; many keys of one mapping in few words."""
    parents = Counter(path.rpartition(".")[0] for path in paths)
    for parent, group in groupby(paths, lambda path: path.rpartition(".")[0]):
        many = parent and parents[parent] > MANY
        yield from [f"every key of `{parent}`"] if many else (f"`{path}`" for path in group)


def decides(family: Family) -> dict[str, list[str]]:
    """By key of the configuration, the key paths of the spec whose values come from it."""
    found: dict[str, list[str]] = {}
    for path, key in walk(family, family.spec.tree, ()):
        paths = found.setdefault(key, [])
        if (text := ".".join(path)) not in paths:
            paths.append(text)
    return found


def walk(family: Family, tree: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Key paths of a template with the keys of the configuration that each is computed from."""
    if isinstance(tree, Expression):
        for key in sorted(keys(family, tree.root, "c")):
            yield path, key
        for name in sorted(keys(family, tree.root, "parts")):
            yield from walk(family, family.parts[name].tree, path)
    elif isinstance(tree, dict):
        for key, part in tree.items():
            yield from walk(family, part, (*path, "*" if isinstance(key, Expression) else str(key)))
    elif isinstance(tree, list):
        for part in tree:
            yield from walk(family, part, path)


def keys(family: Family, node: Any, name: str) -> set[str]:
    """Every K that a part of an expression reads as `name.K`, itself or by what it names."""
    if not isinstance(node, Node):
        return set()
    inner = {key for part in node.parts for key in keys(family, part, name)}
    if node.what == "name" and node.parts[0] in family.let:
        return inner | keys(family, family.let[node.parts[0]].root, name)
    own = node.what == "." and node.parts[0].what == "name" and node.parts[0].parts == (name,)
    return {node.parts[1], *inner} if own else inner


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
