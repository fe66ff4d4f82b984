"""Every way a saved cache can be wrong, and what is said."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from composer.errors import CacheError, ComposerError, WeightsError
from composer.nn import HybridCache, Model
from composer.store.cache_file import fingerprint

from .. import prove
from ..nn.models import ids, model


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def built() -> Model:
    return model([None, 3])


@pytest.fixture
def saved(built: Model, tmp_path: Path) -> Path:
    """One cache of two rows with five tokens each."""
    cache = built.new_cache(2, rollback=1)
    with torch.no_grad():
        built(ids(2, 5), past_key_values=cache)
    cache.save(tmp_path / "one.safetensors")
    return tmp_path / "one.safetensors"


def changed(path: Path, notes: Callable[[dict[str, Any]], Any], **tensors: torch.Tensor | None) -> None:
    """Write the file again with other notes and tensors."""
    with safe_open(path, "pt") as file:
        found = json.loads(file.metadata()["composer_cache"])
    held = load_file(path)
    held.update({name: t for name, t in tensors.items() if t is not None})
    held = {name: t for name, t in held.items() if tensors.get(name, t) is not None}
    notes(found)
    if not found["check"]:  # whoever changes the numbers may know how to sign them
        del found["check"]
        found["check"] = fingerprint(found)
    save_file(held, path, metadata={"composer_cache": json.dumps(found)})


def refused(path: Path, built: Model, kind: type[ComposerError] = CacheError) -> tuple[str, str]:
    """Code and text of the one error that loading must raise."""
    with pytest.raises(kind) as caught:
        HybridCache.load(path, built)
    assert len(caught.value.problems) == 1
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({}, "model.safetensors has no composer_cache in its header"),
        ({"composer_cache": "{"}, "model.safetensors has a composer_cache that is not JSON"),
        ({"composer_cache": "[]"}, "model.safetensors has a composer_cache that is no object"),
        ({"composer_cache": "{}"}, "model.safetensors is of version None, this library reads version 1"),
        ({"composer_cache": '{"version": 1}'}, "has a composer_cache without a proper fingerprint"),
    ],
)
def test_e815_a_file_without_a_cache(built: Model, tmp_path: Path, notes: dict[str, str], said: str) -> None:
    """Somebody else's file, or a damaged one."""
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", metadata=notes)
    code, text = refused(tmp_path / "model.safetensors", built)

    assert "E815" == code
    assert said in text


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: model([3, 3]), "one.safetensors is the memory of another model: layers.0.mixer differs"),
        (lambda: model([None]), "layers.1.mixer is not in the model"),
        (lambda: model([None, 3, 3]), "layers.2.mixer is not in the file"),
        (lambda: model([None, 3]).half(), "it is float32, the model float16"),
        (lambda: model([None, 3], rope={"theta": 2e4}), "layers.0.mixer differs"),
    ],
)
def test_e816_the_memory_of_another_model(saved: Path, other: Callable[[], Model], said: str) -> None:
    """The first slot that is not the same."""
    code, text = refused(saved, other())

    assert "E816" == code
    assert said in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lengths": [5]}, "its rows are not the same everywhere"),
        ({"lengths": [5, 6]}, "a row of 6 tokens has reached 5 with an anchor at 0"),
        ({"lengths": [5, -1]}, "a row of -1 tokens has reached 5"),
        ({"lengths": [5, "5"]}, "a row of '5' tokens has reached 5"),
        ({"anchors": [0, 9]}, "a row of 5 tokens has reached 5 with an anchor at 9"),
        ({"reached": [5, 7]}, "a row has gone back 2 tokens of 1"),
        ({"lengths": [5, 4]}, "its numbers were changed"),
        ({"lengths": [6, 6], "reached": [6, 6], "check": ""}, "k is F32 [2, 2, 5, 6], its rows need"),
        (
            {"lengths": [5] * 3, "reached": [5] * 3, "anchors": [0] * 3, "behind": [False] * 3, "check": ""},
            "layers.0.mixer.k is F32 [2, 2, 5, 6], its rows need",
        ),
    ],
)
def test_e817_numbers_that_cannot_be(saved: Path, built: Model, change: dict[str, Any], said: str) -> None:
    """Lengths out of range, and tensors that are not those of such rows."""
    changed(saved, lambda notes: notes.update(change))
    code, text = refused(saved, built)

    assert "E817" == code
    assert said in text


def test_e817_tensors_that_are_not_there(saved: Path, built: Model) -> None:
    """Exactly the tensors of this memory."""
    changed(saved, lambda notes: None, **{"layers.0.mixer.k": None})
    code, text = refused(saved, built)

    assert "E817" == code
    assert "one.safetensors holds no possible cache: layers.0.mixer.k is missing" in text
    changed(
        saved, lambda notes: None, **{"layers.0.mixer.k": torch.zeros(2, 2, 5, 6), "more": torch.zeros(1)}
    )
    assert "more is not of this memory" in refused(saved, built)[1]


def test_e818_numbers_that_are_none(saved: Path, built: Model, tmp_path: Path) -> None:
    """Neither written nor read."""
    cache = HybridCache.load(saved, built)
    cache.slots[0]["mixer"].tensors["v"][1, 0, 2, 0] = torch.nan
    with pytest.raises(CacheError, match=r"was not written: layers\.0\.mixer\.v holds numbers") as caught:
        cache.save(tmp_path / "one.safetensors")
    assert "E818" == caught.value.code
    changed(saved, lambda notes: None, **{"layers.0.mixer.v": torch.full((2, 2, 5, 6), torch.inf)})
    code, text = refused(saved, built)

    assert "E818" == code
    assert "one.safetensors is not used: layers.0.mixer.v holds numbers that are not finite" in text


def test_damaged_files_are_those_of_any_checkpoint(saved: Path, built: Model) -> None:
    """Cut off, missing, a folder."""
    assert "E502" == refused(saved.parent / "none", built, WeightsError)[0]
    assert "E502" == refused(saved.parent, built, WeightsError)[0]
    saved.write_bytes(saved.read_bytes()[:-1])
    assert "E504" == refused(saved, built, WeightsError)[0]
    saved.write_bytes(b"12345678{}")
    assert refused(saved, built, WeightsError)[0] in ("E503", "E504")


def test_a_place_that_cannot_be_written(built: Model, tmp_path: Path) -> None:
    """The system's reason, and nothing left behind."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "no" / "one"):
        with pytest.raises(WeightsError, match="could not be saved: ") as caught:
            built.new_cache(1).save(path)
        assert "E521" == caught.value.code
    assert ["folder"] == [path.name for path in tmp_path.iterdir()]


def test_damage_anywhere_is_an_error_or_does_no_harm(saved: Path, built: Model) -> None:
    """Bytes changed, cut out and put in: never anything but an error of ours or a cache."""
    draw, whole = random.Random(0), saved.read_bytes()
    count = prove.cases(300, 5000)
    for _ in range(count):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(damaged) if draw.random() < 0.2 else 1400)
            cut = draw.choice([0, 1, 1, draw.randint(0, 40)])
            damaged[at : at + cut] = draw.randbytes(draw.choice([0, cut, 1]))
        saved.write_bytes(damaged)
        with suppress(WeightsError, CacheError):
            built(ids(2, 1), past_key_values=HybridCache.load(saved, built))
    prove.counted("saved caches, damaged, neither an error of ours nor a cache", count)
