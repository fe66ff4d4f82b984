"""Every family: what an absent key means, there and back, and as many parameters as transformers counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

import composer
from composer.layout.exporting import export_config
from composer.layout.family import families, family_named
from composer.layout.importing import import_config
from composer.layout.view import flat, view
from composer.plan import Plan
from composer.shipped import shipped_specs

from . import prove
from .published import FAMILIES, drawn, empty, written

NEW = list(FAMILIES)


def planned(config: dict[str, Any]) -> Plan:
    """The plan of a configuration."""
    return composer.resolve(import_config(config, "x"))


def plainly(default: Any) -> Any:
    """A default as transformers writes it into a file."""
    if isinstance(default, tuple):
        return [{"__float__": "Infinity"} if value == float("inf") else value for value in default]
    return default


@pytest.mark.parametrize("name", NEW)
def test_defaults_are_those_of_transformers(name: str) -> None:
    """An absent key means what the class says; each of its own fields is among the defaults."""
    known = CONFIG_MAPPING[name]
    fields = {field.name: field for field in dataclasses.fields(known)}
    ours = family_named(name).file.defaults
    theirs = {key: plainly(fields[key].default) for key in ours}
    expected = {key: value for key, value in theirs.items() if value is not dataclasses.MISSING}
    unread = {"model_type", *family_named(name).ignored, *family_named(name).only}

    assert expected == {key: ours[key] for key in expected}
    assert set(vars(known)["__annotations__"]) <= {*ours, *unread}
    assert set(ours) <= set(fields)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("seed", range(prove.cases(8, 300)))
def test_as_written_by_transformers(name: str, seed: int) -> None:
    """What was given and what transformers makes of it are one plan, which can be written as a configuration."""
    config = drawn(name, seed)
    plan, full = planned(config), written(config)
    back = export_config(plan, family_named(name))

    assert dict(flat(view(planned(full)))) == dict(flat(view(plan)))
    assert dict(flat(view(planned(back)))) == dict(flat(view(plan)))
    # A key that we write says what transformers says, or says it in the form of today.
    known = {key: value for key, value in back.items() if key not in ("architectures", "rope_parameters")}
    assert {key: full.get(key) for key in known} == known


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("seed", range(prove.cases(4, 100)))
def test_as_many_parameters(name: str, seed: int) -> None:
    """Our count is that of the model that transformers makes of the configuration."""
    config = drawn(name, seed)

    assert sum(p.numel() for p in empty(config).parameters()) == planned(config).parameter_count


PUBLISHED = [name for name in shipped_specs() if composer.read_spec(name).weights in NEW]


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_specs_fit_their_family(name: str) -> None:
    """Each can be written as a configuration, and transformers counts its parameters as its page does."""
    plan = composer.resolve(composer.read_spec(name))
    config = export_config(plan, family_named(plan.spec.weights or ""))

    assert dict(flat(view(plan))) == dict(flat(view(planned(config))))
    assert plan.spec.metadata["parameters"] == sum(p.numel() for p in empty(config).parameters())


def test_no_family_is_left_out() -> None:
    """Every family but the one with tests of its own is drawn here."""
    assert {*NEW, "mistral"} == set(families())
