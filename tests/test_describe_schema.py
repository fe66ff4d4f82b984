"""The JSON Schema agrees with what reading a spec takes and refuses."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import composer
from composer.describe import spec_schema
from composer.reading import find_document
from composer.shipped import shipped_specs
from composer.source import read_document

ERRORS = Path(__file__).parent / "errors"
MISTAKES = yaml.safe_load((ERRORS / "spec_mistakes.yaml").read_text(encoding="utf-8"))
TINY = (ERRORS / "spec_right.yaml").read_text(encoding="utf-8")
# Codes of mistakes that a schema can see: an unknown key, a missing one, a wrong type, a value out of range.
SEEN = ("[E301]", "[E302]", "[E303]", "[E304]", "[E309]")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = spec_schema(composer.catalog())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", shipped_specs())
def test_shipped_specs_are_valid(validator: jsonschema.Draft202012Validator, name: str) -> None:
    """Every shipped spec passes, those included that only change another."""
    assert [] == [error.message for error in validator.iter_errors(find_document(name).data)]


def test_saved_specs_are_valid(validator: jsonschema.Draft202012Validator) -> None:
    """A spec written out in full, every null included, passes too."""
    data = composer.read_spec(TINY).model_dump(mode="json")

    assert [] == [error.message for error in validator.iter_errors(data)]


def shapes() -> Iterator[Any]:
    """Mistakes that are about shape alone, so that the editor can show them while somebody writes."""
    for mistake in MISTAKES:
        if "write" in mistake and all(any(code in line for code in SEEN) for line in mistake["says"]):
            yield pytest.param(mistake["write"], mistake["says"], id=mistake["mistake"])


# What JSON Schema cannot say: 32.0 is a whole number there, options depend on each other, a pattern has words.
BEYOND = {"float for int", "a power of ten for a whole number", "rope missing", "rope extra", "yarn betas"}
BEYOND |= {each["mistake"] for each in MISTAKES if any("must be a multiple" in line for line in each["says"])}
BEYOND |= {"an argument out of range", "an argument of the wrong type", "misspelt argument in the pattern"}
BEYOND |= {"override bad value", "a LayerNorm with an offset", "a draw without bounds"}


@pytest.mark.parametrize(("changes", "says"), list(shapes()))
def test_mistakes_in_shape_are_seen(
    validator: jsonschema.Draft202012Validator, changes: Any, says: list[str], request: pytest.FixtureRequest
) -> None:
    """What reading refuses for its shape, the schema refuses, and what it lets through is listed here."""
    text = TINY
    for old, new in changes:
        text = text.replace(old, new, 1)
    found = [error.message for error in validator.iter_errors(read_document(text, "s.yaml").data)]

    assert (request.node.callspec.id in BEYOND) == (not found), says


def described(schema: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """Every key that a person may write, and whether something is said about it."""
    if isinstance(schema, dict):
        for name, value in (schema.get("properties") or {}).items():
            yield f"{path}.{name}", bool(value.get("description"))
        for key, value in schema.items():
            yield from described(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from described(value, f"{path}.{number}")


def test_every_key_is_described() -> None:
    """An editor has a sentence for each key, those of plugins included."""
    keys = list(described(spec_schema(composer.catalog())))

    assert [] == [path for path, said in keys if not said]
    assert {".$defs.block attention.sliding_window", ".$defs.Rope.theta", ".hidden_size"} <= {
        k for k, _ in keys
    }


def test_kinds_of_another_plugin(validator: jsonschema.Draft202012Validator) -> None:
    """A kind is known exactly if its plugin is there."""
    data = read_document(TINY, "s.yaml").data
    without = composer.plugins.Catalog({"mlp": composer.catalog().offers["mlp"]})

    assert [] == list(validator.iter_errors(data))
    assert not jsonschema.Draft202012Validator(spec_schema(without)).is_valid(data)


def test_an_entry_that_extends_another_may_be_short(validator: jsonschema.Draft202012Validator) -> None:
    """With `extends` nothing is required, in a spec and in a block; without it, what is required is."""
    data = read_document(TINY, "s.yaml").data
    short, lone = copy.deepcopy(data), copy.deepcopy(data)
    short["blocks"]["swa"] = {"extends": "full"}
    lone["blocks"]["swa"] = {"kind": "attention"}

    assert [True, False] == [validator.is_valid(each) for each in (short, lone)]
    assert [True, False] == [validator.is_valid(each) for each in ({"extends": "x.yaml"}, {"name": "x"})]


def test_a_spec_that_extends_another_may_change_parts_of_blocks(
    validator: jsonschema.Draft202012Validator,
) -> None:
    """Only then may an entry lack its kind; an option that no kind has is refused all the same."""
    part = {"blocks": {"full": {"num_attention_heads": 2}}}
    wrong = {"blocks": {"full": {"num_heds": 2}}}
    data = read_document(TINY, "s.yaml").data

    assert [True, False] == [validator.is_valid({"extends": "x", **each}) for each in (part, wrong)]
    assert not validator.is_valid({**data, "blocks": {**data["blocks"], **part["blocks"]}})
