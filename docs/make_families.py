"""Write docs/families.md anew: what becomes of every key of a published configuration.  `make docs` runs this."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from composer.layout.family import Family, families
from composer.shipped import specs_folder
from composer.source import read_file

PAGE = Path(__file__).parent / "families.md"
HEAD = """\
# Families

A family is a file in `specs/families` that says how a published `config.json` becomes a spec, how a plan is written
back, and which tensor of a checkpoint is which parameter; [writing a family](writing-a-family.md) describes its form.
This page is made from those files.  A key of a configuration that is neither read nor listed here as passed over is an
error: E533.

Numbers that only say how weights are drawn before training are read; where transformers draws some matrices of a model
otherwise than the rest (those behind a branch in GPT-2 and Mamba2), the spec's one number a kind of tensor stands for
all.

"""


def page() -> str:
    """The whole page."""
    known = [family for family in families().values() if family.file.defaults]
    shared = {key: why for name in ("config-keys",) for key, why in _shared(name).items()}
    parts = [HEAD, *(text for family in known for text in _family(family, shared)), *_passed_over(shared)]
    return "".join(parts)


def _shared(name: str) -> dict[str, str]:
    data = read_file(specs_folder() / "families" / f"{name}.yaml").data
    return {**data["ignored"], **{key: _only(values) for key, values in data["only"].items()}}


def _only(values: list[Any]) -> str:
    return f"known as {' or '.join(map(json.dumps, values))} only"


def _family(family: Family, shared: Mapping[str, str]) -> Iterator[str]:
    yield f"## {family.name}\n\nWhere `{family.match.text}`.\n\n"
    notes = _comment(family)
    if notes:
        yield f"{notes}\n\n"
    yield "| key | when absent | |\n|---|---|---|\n"
    defaults, read = family.file.defaults, family.reads["c"]
    for key in [*defaults, *sorted(read - set(defaults) - {"model_type"})]:
        absent = f"`{json.dumps(defaults[key])}`" if key in defaults else "not there"
        what = "read" if key in read else family.file.ignored.get(key) or shared[key]
        yield f"| `{key}` | {absent} | {what} |\n"
    for key, why in family.file.ignored.items():
        if key not in defaults:
            yield f"| `{key}` | | {why} |\n"
    for key, values in family.file.only.items():
        yield f"| `{key}` | | {_only(values)} |\n"
    yield "\n"
    for tensor, why in family.file.ignore.items():
        yield f"Tensors `{tensor}` are passed over: {why}.\n\n"


def _comment(family: Family) -> str:
    """What the file says about itself before it begins, a paragraph a blank line."""
    lines = []
    for line in family.document.text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return "\n".join(lines)


def _passed_over(shared: Mapping[str, str]) -> Iterator[str]:
    yield "## Keys of every configuration\n\nThese change no number of a forward pass here.\n\n"
    yield "| key | why |\n|---|---|\n"
    for key, why in shared.items():
        yield f"| `{key}` | {why} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
