"""The JSON Schema of a spec, with the options of every installed block: what editors complete and check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..block import Block
from ..errors import PluginError
from ..plugins import Catalog
from ..plugins.calling import schema as schema_of
from ..spec import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def spec_schema(catalog: Catalog) -> Schema:
    """A schema (draft 2020-12) that takes every spec whose shape is right, with the blocks of a catalog.

    What needs the whole spec (that names exist, that layers add up) is left to `check`.
    """
    catalog = describable(catalog)
    schema = Spec.model_json_schema()
    definitions: Schema = {**schema.pop("$defs"), **block_definitions(catalog)}
    properties: Schema = {
        "composer": schema["properties"].pop("composer"),
        "extends": EXTENDS,
        **schema["properties"],
    }
    schema["properties"] = properties
    definitions["Override"]["properties"]["set"]["propertyNames"] = {"enum": option_names(catalog)}
    blocks = schema["properties"]["blocks"]
    complete = {"blocks": {**blocks, **entries("BlockEntry")}}
    whole = {"required": schema.pop("required"), "properties": complete}
    blocks |= entries("BlockPart")
    needed = [{"required": ["extends"]}, whole]
    return tidy({"$schema": DIALECT, **schema, "anyOf": needed, "$defs": definitions})


def describable(catalog: Catalog) -> Catalog:
    """The catalog without the kinds that have no schema, with a problem for each of them."""
    offers, problems = dict(catalog.offers), list(catalog.problems)
    for kind in catalog.offers:
        try:
            schema_of(catalog[kind])
        except PluginError as error:
            problems += error.problems
            del offers[kind]
    return replace(catalog, offers=offers, problems=tuple(problems))


EXTENDS = {
    "description": "A shipped spec, or a file in this folder; mappings merge, all else replaces.",
    "type": ["string", "null"],
}


USES = ("reads", "out", "share", "adapters")
"""What any entry may say of its uses."""


def demand(names: list[str], unless: str = "extends") -> Schema:
    """These keys are needed, unless another one says where they come from."""
    return {"anyOf": [{"required": [unless]}, {"required": names}]} if names else {}


def entries(form: str) -> Schema:
    """The entries of `blocks` are of this form."""
    return {"additionalProperties": {"$ref": f"#/$defs/{form}"}}


def block_definitions(catalog: Catalog) -> Schema:
    """An entry of `blocks` is of a kind or has branches; one that extends another may lack the rest.

    In a spec that extends another it may be a part, which says only what is different.
    """
    own = Spec.model_json_schema()["$defs"]["BlockEntry"]["properties"]
    definitions: Schema = {}
    for kind in catalog.offers:
        definitions |= kind_definitions(kind, catalog[kind], own)
    forms = [{"$ref": f"#/$defs/{name(kind)}"} for kind in catalog.offers]
    wholes = [
        {**form, **demand(needs(catalog[kind]))} for form, kind in zip(forms, catalog.offers, strict=True)
    ]
    branches = {
        "title": "branches",
        "type": "object",
        "properties": {
            **{key: only_null(own[key]) for key in ("kind", "extends")},
            "branches": own["branches"],
            **{key: own[key] for key in USES},
        },
        "additionalProperties": False,
    }
    whole = {**branches, "required": ["branches"]}
    said = "A word: a `kind` with its options, or `branches`."
    entry = {"description": said, "anyOf": [*wholes, whole]}
    part = {"description": said, "anyOf": [*forms, branches]}
    return {**definitions, "BlockEntry": entry, "BlockPart": part}


def needs(block: type[Block]) -> list[str]:
    """The keys that an entry of a kind cannot be without."""
    return ["kind", *(key for key, field in block.model_fields.items() if field.is_required())]


def kind_definitions(kind: str, block: type[Block], own: Schema) -> Schema:
    """One kind with its options, and what those refer to."""
    schema = schema_of(block)
    inner = {key: value for key, value in schema.pop("$defs", {}).items()}
    tag = {"description": f"The kind of block: {kind}.", "enum": [kind, None]}
    uses = {key: own[key] for key in USES}
    entry = {"kind": tag, "extends": own["extends"], "branches": only_null(own["branches"]), **uses}
    schema.pop("required", None)
    properties = {**entry, **schema["properties"]}
    return {**inner, name(kind): {**schema, "title": kind, "properties": properties}}


def only_null(schema: Schema) -> Schema:
    """The same key where it means nothing."""
    return {"description": schema["description"], "type": "null"}


def name(kind: str) -> str:
    """Where a kind is defined."""
    return f"block {kind}"


def option_names(catalog: Catalog) -> list[str]:
    """Every option of every kind."""
    return sorted({option for kind in catalog.offers for option in catalog[kind].model_fields})


def tidy(value: Any) -> Any:
    """Without the titles that only repeat a key."""
    if isinstance(value, list):
        return [tidy(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: tidy(each) for key, each in value.items()}
    if isinstance(properties := kept.get("properties"), dict):
        for each in properties.values():
            if isinstance(each, dict):
                each.pop("title", None)
    return kept
