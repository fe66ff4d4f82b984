"""The text of an imported spec: short, complete by itself, and behind each value where it comes from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import Path, printable
from ..layout.family import Family
from ..layout.importing import family_of, import_config
from ..layout.sources import Source, sources_of
from ..pattern import canonical_written
from ..source.invalid import shown
from .starter import spaced, tall
from .yamltext import WIDTH, yaml_text


def imported_text(config: Mapping[str, Any], name: str, source: str, file: str) -> str:
    """The YAML of the spec called `name` that a configuration means.

    `source` is the path of the configuration, for errors, and `file` its name, for the comments.
    Raises `WeightsError` and `SpecError` as `import_config` does.
    """
    data = import_config(config, name, source).model_dump(mode="json", exclude_unset=True)
    data["pattern"] = canonical_written(data["pattern"])
    family = family_of(config, source)
    data = {**dict.fromkeys(("composer", "name", "description")), **data}
    data |= {"composer": 1, "name": name, "description": f"Imported from {printable(file)}."}
    sources = sources_of(family, config)
    text = yaml_text(data, Notes(data, sources).note, tall)
    used = {key for source in sources.values() for key in source.present}
    left = {key: reason(family, config, key) for key in config if key not in used}
    return "\n".join([*head(family, file), "", spaced(text), *unused(left, file)])


def head(family: Family, file: str) -> Iterator[str]:
    """What the comments mean."""
    text = (
        f"Behind a value: the key of {printable(file)} that it comes from. A key in brackets is not in the "
        "file, and the value is its default. A value without a comment is the same in every model of the "
        f"family {family.name}."
    )
    yield from textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def unused(reasons: Mapping[str, str], file: str) -> Iterator[str]:
    """The keys that no value comes from, and why."""
    if not reasons:
        return
    yield f"# Not in this spec, of {printable(file)}:"
    for key, why in reasons.items():
        text = f"{printable(key)}: {why}"
        yield from textwrap.wrap(text, WIDTH, initial_indent="# - ", subsequent_indent="#   ")
    yield ""


def reason(family: Family, config: Mapping[str, Any], key: str) -> str:
    """Why no value of the spec comes from a key."""
    if key in family.ignored:
        return family.ignored[key]
    if key in family.only:
        return f"{shown(config[key])} changes nothing"
    return "read, and no value comes from it" if key in family.reads["c"] else "not part of the architecture"


class Notes:
    """The comment on each key of a spec."""

    def __init__(self, data: dict[str, Any], sources: Mapping[Path, Source]) -> None:
        self.data, self.sources = data, sources

    def note(self, path: Path) -> str:
        """Where a value comes from; of a collection on one line, where each of its values does."""
        value = self.at(path)
        if not isinstance(value, dict | list) or self.sources.get(path):
            return self.said(path)
        if isinstance(value, dict) and (
            tall(path) or any(isinstance(v, dict | list) for v in value.values())
        ):
            return ""
        found = {str(below[-1]): self.said(below) for below in self.sources if below[: len(path)] == path}
        if len(found) > 1 and len({*found.values()}) == 1:
            return next(iter(found.values()))
        return "; ".join(text if text == key else f"{key}: {text}" for key, text in found.items())

    def at(self, path: Path) -> Any:
        """The value at a key path."""
        value: Any = self.data
        for key in path:
            value = value[key]
        return value

    def said(self, path: Path) -> str:
        """The keys behind one value."""
        source = self.sources.get(path)
        if source is None:
            return ""
        return ", ".join(source.present) or ", ".join(f"[{key}]" for key in source.absent)
