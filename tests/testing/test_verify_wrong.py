"""Verification can fail: what is wrong on purpose is named by the row that is about it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import composer
from composer import Plan
from composer.testing import verify

from ..contract.faults import attention, attention_options, recurrence

SPEC = """
composer: 1
name: lying
vocab_size: 40
hidden_size: 16
norm: {kind: rms, eps: 1.0e-5}
pattern: liar×2
blocks:
  liar: {kind: KIND, fault: 'FAULT'}
init:
  linear: {distribution: normal, spread: 0.2}
  bias: {distribution: normal, spread: 0.2}
"""

# What each lie must break, whatever else it breaks.
LIES: dict[str, str] = {
    "SlotTooSmall": "cached, one by one",
    "NoSlot": "cached, chunks",
    "LooksFurther": "cached, one by one",
    "StartsAtZero": "cached, chunks",
    "CountsFromTheEnd": "padding, right",
    "MixesRows": "padding, left",
    "IgnoresSegments": "packing",
    "CountsItself": "padding, right, then on",
    "SlowPathDiffers": "kernels",
    "Reordered": "parameters",
    "Raises": "cached, whole",
    # of a block with a recurrent state
    "SeesPads": "padding, right, then on",
    "TailOfPads": "padding, left, then on",
    "LeaksRows": "padding, right",
    "SumsAcrossSegments": "packing",
    "ConvolvesAcrossSegments": "packing",
    "StepsDiffer": "cached, one by one",
    "ForgetsSingleTokens": "cached, chunks",
    "RunsAway": "state, size",
}
HONEST = ["", "InPlace"]


def plan_of(fault: str, text: str = SPEC) -> Plan:
    """Two layers of a block that tells one lie, or of an honest one."""
    kind = "fading" if fault in recurrence.MODULES else "honest"
    options = getattr(attention_options, fault, None)
    block = options if isinstance(options, type) and issubclass(options, attention.Honest) else None
    plugin = ModuleType("liar")
    kinds = [block or attention.Honest, recurrence.Fading]
    plugin.composer_blocks = composer.hookimpl(lambda: kinds)  # type: ignore[attr-defined]  # as in a file
    spec = composer.read_spec(text.replace("KIND", kind).replace("FAULT", "" if block else fault))
    return composer.resolve(spec, composer.catalog(plugin))


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_block_is_caught(lie: str) -> None:
    """By the row that is about it."""
    found = verify(plan_of(lie), tokens=128 if lie == "RunsAway" else 16)

    assert LIES[lie] in [row.check for row in found if row.verdict == "WRONG"]
    assert not found.ok


@pytest.mark.parametrize("honest", HONEST)
def test_the_honest_blocks_pass(honest: str) -> None:
    """The blocks that the lies are made from, and one that changes its state in place."""
    assert [] == [row for row in verify(plan_of(honest), tokens=128) if row.verdict == "WRONG"]


@pytest.mark.parametrize(("fault", "ok"), [("InPlace", True), ("StepsDiffer", False)])
def test_a_model_in_which_roundings_grow(fault: str, ok: bool) -> None:
    """What one rounding of its weights does is allowed, though no attention kernel differs; a lie is not."""
    deep = SPEC.replace("×2", "×24").replace("spread: 0.2", "spread: 3.0")
    found = verify(plan_of(fault, deep), tokens=64, seed=1)
    (row,) = (row for row in found if row.check == "cached, one by one")

    assert row.allowed is not None
    assert 1e-5 < row.allowed <= 1e-3
    assert (row.verdict == "ok") == ok == (found.count("WRONG") == 0)


@pytest.mark.parametrize("fault", ["Renamed", "BiasUncounted", "Undeclared"])
def test_what_is_not_built_as_declared(fault: str) -> None:
    """Is refused before anything is compared."""
    with pytest.raises(composer.ComposerError, match="declare") as found:
        verify(plan_of(fault), limit=1)

    assert {"E423"} == {problem.code for problem in found.value.problems}


def test_a_block_that_raises() -> None:
    """Its own words stand in the rows."""
    rows = [row for row in verify(plan_of("Raises"), tokens=16) if row.verdict == "WRONG"]

    assert {"it raised ZeroDivisionError: division by zero"} == {row.why for row in rows}


# ---------------------------------------------------------------- damaged folders


Tensors = dict[str, torch.Tensor]


def without_one(tensors: Tensors) -> None:
    del tensors["model.layers.1.mlp.up_proj.weight"]


def with_another(tensors: Tensors) -> None:
    tensors["model.layers.9.mlp.up_proj.weight"] = torch.zeros(3)


def not_finite(tensors: Tensors) -> None:
    tensors["model.norm.weight"][3] = float("nan")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (without_one, "model.layers.1.mlp.up_proj.weight"),
        (with_another, "model.layers.9.mlp.up_proj.weight"),
        (not_finite, "model.norm.weight"),
    ],
)
def test_a_damaged_folder(damage: Callable[[Tensors], None], says: str, tmp_path: Path) -> None:
    """A tensor that is missing, one too many, one that is no number: named, and nothing else was checked."""
    folder = Path(shutil.copytree(composer_folder(), tmp_path / "model"))
    tensors: dict[str, Any] = dict(load_file(folder / "model.safetensors"))
    damage(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    found = verify(folder)
    (row,) = (row for row in found if row.verdict == "WRONG")

    assert "weights complete" == row.check
    assert says in row.why
    assert {"the weights could not be loaded"} == {row.why for row in found if row.verdict == "not checked"}
    assert 2 == found.count("ok")


def composer_folder() -> Path:
    """The shipped weights, whose tensors have published names."""
    from composer.shipped import specs_folder

    return specs_folder() / "pocket-mistral"


def test_another_librarys_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that the other library reads differently are not equal logits."""
    from composer.testing import verify_other

    real = verify_other.Library.model

    def other(self: Any, attention: str) -> Any:
        model, loose = real(self, attention)
        model.model.norm.weight.data[0] *= 1.01
        return model, loose

    monkeypatch.setattr(verify_other.Library, "model", other)
    rows = [row for row in verify("pocket-mistral", tokens=16) if row.verdict == "WRONG"]

    assert ["equal logits"] == [row.check for row in rows]


def test_files_that_lose_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded tensor that is not the saved one is named."""
    from composer.testing import verify_files

    real = verify_files.load

    def losing(*given: Any, **more: Any) -> Any:
        model = real(*given, **more)
        with torch.no_grad():
            model.norm.weight[0] += 1
        return model

    monkeypatch.setattr(verify_files, "load", losing)
    rows = [row for row in verify(plan_of(""), tokens=16) if row.verdict == "WRONG"]

    assert [("saved, own layout", "norm.weight is another")] == [(row.check, row.why) for row in rows]


def test_a_save_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without a published form is not checked there; one that cannot be written is wrong."""
    from composer.errors import WeightsError, fail
    from composer.testing import verify_files

    def failing(*given: Any, **more: Any) -> None:
        fail(WeightsError, "E521", "the folder cannot be written")

    monkeypatch.setattr(verify_files, "save", failing)
    rows = [row for row in verify(plan_of(""), tokens=16) if row.check.startswith("saved")]

    assert [("WRONG", "the folder cannot be written")] * 2 == [(row.verdict, row.why) for row in rows]
