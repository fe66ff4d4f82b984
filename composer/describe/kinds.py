"""What a kind of block is, for people and programs: its options, and what a sample of it declares. No torch."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from ..block import Block, Declared, Site, flops_of
from ..errors import printable
from ..plugins.calling import declared, flops, settled
from ..plugins.calling import schema as schema_of
from ..plugins.gathering import called
from ..plugins.holding import held
from ..plugins.timing import FUNCTION, allowed

PLACE = Site(reads=32, writes=32, max_position_embeddings=256)
"""Where a sample stands that does not say."""
CONTEXT = 256
MOST_LISTED = 6
REQUIRED = "required"

Schema = dict[str, Any]
NAMES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}


@dataclass(frozen=True)
class Option:
    """One option: its name, what it may be, its default as YAML writes it, and what it is for."""

    name: str
    takes: str
    default: str
    about: str


def options_of(block: type[Block]) -> list[Option]:
    """Every option of a kind, in the order in which it declares them."""
    schema = schema_of(block)
    needed, found = set(schema.get("required", ())), schema.get("properties", {})
    return [
        Option(
            name,
            takes(said, schema.get("$defs", {})),
            REQUIRED if name in needed else written(said.get("default")),
            " ".join(str(said.get("description", "")).split()),
        )
        for name, said in found.items()
    ]


def takes(said: Schema, known: Schema) -> str:
    """What an option may be, in words."""
    if "$ref" in said:
        return takes(known[said["$ref"].rpartition("/")[2]], known)
    if "anyOf" in said:
        return " or ".join(dict.fromkeys(takes(each, known) for each in said["anyOf"]))
    if "allOf" in said:
        return " and ".join(takes(each, known) for each in said["allOf"])
    if "enum" in said or "const" in said:
        return listed(said.get("enum", [said.get("const")]))
    kind = said.get("type")
    if kind == "array":
        return f"list of {takes(said['items'], known)}" if "items" in said else "list"
    if kind == "object":
        return f"mapping with {', '.join(said['properties'])}" if said.get("properties") else "mapping"
    return NAMES.get(str(kind), str(kind or "anything")) + bounds(said)


def listed(values: list[Any]) -> str:
    """One of several words."""
    shown = ", ".join(written(value) for value in values)
    return f"one of {shown}" if len(values) > 1 else shown


def bounds(said: Schema) -> str:
    """The range of a number; the largest sizes that are taken at all are no bound to tell."""
    low = {"minimum": "from", "exclusiveMinimum": "above"}
    high = {"maximum": "to", "exclusiveMaximum": "below"}
    parts = [f"{word} {said[key]:g}" for key, word in low.items() if key in said]
    parts += [f"{word} {said[key]:g}" for key, word in high.items() if key in said and said[key] < 2**24]
    return f" {' '.join(parts)}" if parts else ""


def written(value: Any) -> str:
    """A value as YAML writes it, on one line; of a mapping what is not null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{key}: {written(each)}" for key, each in value.items() if each is not None)
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def about(block: type[Block]) -> str:
    """What the kind says it is."""
    return printable(inspect.cleandoc(vars(block).get("__doc__") or ""))


@dataclass(frozen=True)
class Sample:
    """Small options at a place, and what they declare there."""

    block: Block
    site: Site
    declared: Declared
    flops: int | None

    @property
    def count(self) -> int:
        """All its parameters."""
        return sum(param.count for _, param in self.declared.parameters())

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "options": self.block.model_dump(mode="json", exclude_unset=True),
            "site": self.site.model_dump(mode="json"),
            "declares": self.declared.model_dump(mode="json"),
            "parameters": self.count,
            "flops": self.flops,
        }


def samples_of(block: type[Block]) -> list[tuple[Block, Site]]:
    """The samples of a kind, each with its place.  Raises PluginError if the kind fails to name them."""
    with held(called(block), f"samples() of kind {block.kind!r}", allowed(FUNCTION)):
        found = [each if isinstance(each, tuple) else (each, PLACE) for each in block.samples()]
        for options, site in found:
            if not (isinstance(options, Block) and isinstance(site, Site)):
                raise TypeError(f"{options!r} at {site!r} is no block at a site")
    return found


def sample(block: Block, site: Site) -> Sample:
    """What options declare at a place; the FLOPs are those of a token after 256, with its linears.

    Raises ValueError where they cannot stand there, PluginError for a fault of the plugin.
    """
    options = settled(block, site)
    says, own = declared(options, site), flops(options, site, CONTEXT)
    return Sample(block, site, says, None if own is None else own + flops_of(says.linears.values()))


def named(block: Block) -> str:
    """A block as one would write it: `attention(num_attention_heads=4, bias=true)`."""
    said = block.model_dump(mode="json", exclude_unset=True)
    return f"{block.kind}({', '.join(f'{name}={written(value)}' for name, value in said.items())})"
