"""The plan of every shipped spec, as text under version control; and nothing in it comes from a hidden default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, Field, create_model

import composer
from composer.describe import plan_data, plan_text
from composer.options import Rope
from composer.plugins import Catalog, Offer
from composer.shipped import shipped_specs

GOLDEN = Path(__file__).parent / "golden"
REWRITE = os.environ.get("COMPOSER_GOLDEN") == "1"


@pytest.mark.parametrize("name", shipped_specs())
def test_plan(name: str) -> None:
    """The plan is the one that was agreed on; COMPOSER_GOLDEN=1 writes it anew, to be read before a commit."""
    path, text = GOLDEN / f"{name}.plan", plan_text(composer.resolve(composer.read_spec(name)))
    if REWRITE:
        path.write_text(text, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == text


def test_every_golden_plan_has_a_spec() -> None:
    """A spec that goes takes its plan with it."""
    assert set(shipped_specs()) == {path.stem for path in GOLDEN.glob("*.plan")}


@pytest.mark.parametrize("name", shipped_specs())
def test_count_as_published(name: str) -> None:
    """The parameters that a spec gives as published are the ones that its plan has."""
    spec = composer.read_spec(name)

    assert spec.metadata["parameters"] == composer.resolve(spec).parameter_count


# ---------------------------------------------------------------- every number stands in its spec


def another(value: Any, annotation: Any) -> Any:
    """A default that means something else."""
    if isinstance(value, BaseModel):
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 + 1
    kinds = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
    if get_origin(annotation) is Literal:
        return next(each for each in get_args(annotation) if each != value)
    return another(0.25 if float in kinds else False if bool in kinds else 3, kinds[0])


def changed(model: type[BaseModel]) -> type[Any]:
    """The same options with every default another one."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        unused = model is Rope and field.default is None  # null: not an option of the type
        if not (field.is_required() or unused):
            kind = CHANGED_ROPE | None if Rope in get_args(field.annotation) else field.annotation
            fields[name] = (kind, Field(default=another(field.default, field.annotation)))
    return create_model(model.__name__, __base__=model, **fields)


CHANGED_ROPE: Any = None
CHANGED_ROPE = changed(Rope)


def changed_catalog() -> Catalog:
    """Every installed block with other defaults."""
    offers = composer.catalog().offers.items()
    return Catalog({kind: Offer(changed(o.block), o.plugin, o.distribution, o.version) for kind, o in offers})


def test_changed_defaults_are_seen() -> None:
    """The trial can fail: a spec that leaves an option open gets another plan from other defaults."""
    spec = composer.read_spec("pocket-mistral")
    swa, mlp = (dict(spec.blocks[name].options) for name in ("swa", "mlp"))
    left_out = {"swa": ("bias", "out_bias", "sliding_window", "attention_dropout"), "mlp": ("bias", "gated")}
    for name, options in (("swa", swa), ("mlp", mlp)):
        for key in left_out[name]:
            rest = {k: v for k, v in options.items() if k != key}
            entry = type(spec.blocks[name])(kind=spec.blocks[name].kind, **rest)
            trial = spec.model_copy(update={"blocks": {**spec.blocks, name: entry}})
            plans = [plan_data(composer.resolve(trial, each)) for each in (None, changed_catalog())]

            assert plans[0] != plans[1], key


@pytest.mark.parametrize("name", shipped_specs())
def test_no_number_comes_from_a_plugin(name: str) -> None:
    """Other defaults of blocks and of rope leave the plan as it is."""
    spec = composer.read_spec(name)

    assert plan_data(composer.resolve(spec)) == plan_data(composer.resolve(spec, changed_catalog()))


@pytest.mark.parametrize("name", shipped_specs())
def test_no_number_comes_from_the_host(name: str) -> None:
    """Sizes, head, and how every kind of tensor is drawn are written out."""
    spec = composer.read_spec(name)
    plan = composer.resolve(spec)
    needed = {
        "max_position_embeddings",
        "layer",
        "layers",
        "head",
        "init",
        "weights",
        "generation",
        "metadata",
    }

    assert set() == needed - spec.model_fields_set
    assert {"tied", "bias"} <= spec.head.model_fields_set
    assert set() == set(plan.init) - set(spec.init)
    assert set() == {kind for kind, draw in spec.init.items() if not drawn(draw)}


def drawn(draw: Any) -> bool:
    """Whether a distribution says all its numbers."""
    needed = {
        "constant": {"mean"},
        "log_range": set(),
        "log_uniform_softplus": {"low", "high", "floor"},
    }
    return needed.get(draw.distribution, {"mean", "spread"}) <= draw.model_fields_set
