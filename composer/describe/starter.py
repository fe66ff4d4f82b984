"""A spec to start from: another one's values under a new name, with what each is for beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from ..errors import Path
from ..pattern import canonical_written
from ..plugins import Catalog
from ..spec import Spec
from .yamltext import WIDTH, yaml_text

# About the model that was published, not about one that starts from it.
_ITS_OWN = ("metadata", "description")
# Written key by key, whatever would fit on a line.
_TALL = (("blocks",), ("init",), ("pattern",), ("blocks", "*"))


def starter_text(spec: Spec, name: str, begun_from: str, catalog: Catalog, file: str) -> str:
    """The YAML of a spec called `name` for the path `file`, with the values of `spec`, which is `begun_from`.

    It is complete by itself, resolves to the same layers, and its comments are the descriptions of the options.
    """
    data = spec.model_dump(mode="json", exclude_unset=True)
    data = {key: value for key, value in data.items() if key not in _ITS_OWN}
    data["pattern"] = canonical_written(data["pattern"])
    data = {**dict.fromkeys(("composer", "name", "description")), **data}
    data |= {"composer": 1, "name": name, "description": f"Begun from {begun_from}."}
    text = yaml_text(data, Notes(data, catalog).note, tall)
    return "\n".join([*head(file), spaced(text), *more(data), ""])


def head(file: str) -> Iterator[str]:
    """What to do with the file."""
    yield "# After a change:"
    yield f"#   arch-composer check {file}    all that is wrong, each with its place"
    yield f"#   arch-composer show {file}     layers, parameters, costs"
    yield ""


def more(data: dict[str, Any]) -> Iterator[str]:
    """Which keys a spec may have that this one has not."""
    yield "# A spec may also have:"
    for key, field in Spec.model_fields.items():
        if key not in (*data, *_ITS_OWN, "final"):
            text = f"{key}: {field.description}"
            yield from textwrap.wrap(text, WIDTH, initial_indent="# - ", subsequent_indent="#   ")


def spaced(text: str) -> str:
    """The same with an empty line around every key that has lines of its own."""
    lines = text.splitlines()
    found: list[str] = []
    for number, line in enumerate(lines):
        begins = not line.startswith((" ", "#"))
        after = begins and number and lines[number - 1].startswith(" ")
        opens = line.startswith("#") or (
            begins and number + 1 < len(lines) and lines[number + 1].startswith(" ")
        )
        commented = number and lines[number - 1].startswith("#")
        if number and (after or opens) and not commented and found[-1]:
            found.append("")
        found.append(line)
    return "\n".join(found) + "\n"


def tall(path: Path) -> bool:
    """Whether a key is written in several lines."""
    return any(
        len(path) == len(each) and all(want in ("*", have) for want, have in zip(each, path, strict=True))
        for each in _TALL
    )


class Notes:
    """The comment on each key of a spec; one that says the same of several options stands once."""

    def __init__(self, data: dict[str, Any], catalog: Catalog) -> None:
        self.blocks, self.catalog = data.get("blocks", {}), catalog
        self.said: set[str] = set()

    def note(self, path: Path) -> str:
        """What a key of the spec or an option of a block is for."""
        text = self.description(path)
        if not text or text in self.said:
            return ""
        self.said.add(text)
        return text

    def description(self, path: Path) -> str:
        """The description of a key by its model."""
        if len(path) == 1 and path[0] != "description":
            return Spec.model_fields[str(path[0])].description or ""
        if len(path) == 3 and path[0] == "blocks":
            return self.option(str(path[1]), str(path[2]))
        return ""

    def option(self, block: str, option: str) -> str:
        """The description of an option of a block."""
        kind = self.kind(block)
        field = self.catalog[kind].model_fields.get(option) if kind and kind in self.catalog else None
        return (field.description or "") if field else ""

    def kind(self, block: str | None) -> str | None:
        """The kind of a block, its own or that of a block which it extends; no spec here has circles."""
        while block is not None:
            entry = self.blocks[block]
            if entry.get("kind"):
                return str(entry["kind"])
            block = entry.get("extends")
        return None
