"""Operations of weight rows: read as ours, stored as theirs, bit for bit, and mapped where they can be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from composer.errors import WeightsError
from composer.layout.ops import Op
from composer.layout.rows import Row, WeightMap
from composer.store import Checkpoint, materialize, save_tensors
from composer.store.save import stored_tensors

from .conftest import write_single

PARTS = ("q.weight", "k.weight")
CASES: dict[str, tuple[tuple[Row, ...], dict[str, tuple[int, ...]], tuple[int, ...]]] = {
    "split": (tuple(Row(p, ("s",), split=PARTS) for p in PARTS), {"q": (4, 3), "k": (2, 3)}, (6, 3)),
    "split vectors": (tuple(Row(p, ("s",), split=PARTS) for p in PARTS), {"q": (4,), "k": (2,)}, (6,)),
    "transpose": ((Row(PARTS[0], ("s",), op=Op("transpose")),), {"q": (4, 3)}, (3, 4)),
    "transpose and split": (
        tuple(Row(p, ("s",), op=Op("transpose"), split=PARTS) for p in PARTS),
        {"q": (4, 3), "k": (2, 3)},
        (3, 6),
    ),
    "squeeze and split": (
        tuple(Row(p, ("s",), op=Op("squeeze", 1), split=PARTS) for p in PARTS),
        {"q": (4, 3), "k": (2, 3)},
        (6, 1, 3),
    ),
    "unsqueeze": ((Row(PARTS[0], ("s",), op=Op("unsqueeze", 1)),), {"q": (4, 1, 3)}, (4, 3)),
    "unpair": ((Row(PARTS[0], ("s",), op=Op("unpair", 4)),), {"q": (8, 3)}, (8, 3)),
    "unpair vectors": ((Row(PARTS[0], ("s",), op=Op("unpair", 4)),), {"q": (8,)}, (8,)),
    "unpair and split": (
        tuple(Row(p, ("s",), op=Op("unpair", 4), split=PARTS) for p in PARTS),
        {"q": (8, 3), "k": (4, 3)},
        (12, 3),
    ),
}  # fmt: skip


def model_of(shapes: dict[str, tuple[int, ...]], dtype: torch.dtype = torch.float32) -> nn.Module:
    """Modules with one weight each, without numbers."""
    model = nn.Module()
    for name, shape in shapes.items():
        leaf = nn.Module()
        leaf.weight = nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"))
        model.add_module(name, leaf)
    return model


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_there_and_back(case: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """What is read and stored again is what was stored, in the stored precision; every element has one place."""
    rows, shapes, stored = CASES[case]
    numbers = torch.randperm(torch.Size(stored).numel()).to(dtype).view(stored)
    model = model_of(shapes, dtype)
    materialize(model, WeightMap(rows), Checkpoint.open(write_single(tmp_path / "a", {"s": numbers})))
    parameters = dict(model.named_parameters())
    save_tensors(tmp_path / "b", stored_tensors(WeightMap(rows), parameters))

    assert torch.equal(numbers, load_file(tmp_path / "b" / "model.safetensors")["s"])
    assert shapes == {name.split(".")[0]: tuple(p.shape) for name, p in parameters.items()}
    assert numbers.numel() == len({x for p in parameters.values() for x in p.detach().flatten().tolist()})


@pytest.mark.parametrize("case", CASES)
def test_a_cast_changes_nothing_else(case: str, tmp_path: Path) -> None:
    """Another precision gives the same numbers in the same places."""
    rows, shapes, stored = CASES[case]
    folder = write_single(
        tmp_path / "a", {"s": torch.randperm(torch.Size(stored).numel()).view(stored).float()}
    )
    one, other = model_of(shapes), model_of(shapes, torch.float64)
    materialize(one, WeightMap(rows), Checkpoint.open(folder))
    materialize(other, WeightMap(rows), Checkpoint.open(folder))

    assert all(torch.equal(a.double(), b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_what_each_operation_does(tmp_path: Path) -> None:
    """Rows of a head from neighbours to halves; matrices turned; a part of the rows."""
    rows = (
        Row("q.weight", ("pairs",), op=Op("unpair", 4)),
        Row("k.weight", ("turned",), op=Op("transpose")),
    )
    model = model_of({"q": (8,), "k": (2, 3)})
    found = {"pairs": torch.arange(8.0), "turned": torch.arange(6.0).view(3, 2)}
    materialize(model, WeightMap(rows), Checkpoint.open(write_single(tmp_path / "a", found)))
    q, k = (parameter.tolist() for parameter in model.parameters())

    assert [0, 2, 1, 3, 4, 6, 5, 7] == q
    assert [[0, 2, 4], [1, 3, 5]] == k


@pytest.mark.parametrize("case", ["split", "squeeze and split", "unsqueeze"])
def test_what_stays_mapped(case: str, tmp_path: Path) -> None:
    """Row ranges and dimensions of size 1 cost no copy: the parameters lie in one mapped tensor."""
    rows, shapes, stored = CASES[case]
    checkpoint = Checkpoint.open(write_single(tmp_path / "a", {"s": torch.zeros(stored)}))
    model = model_of(shapes)
    materialize(model, WeightMap(rows), checkpoint)
    first = checkpoint.tensor("s").data_ptr()
    starts = [parameter.data_ptr() - first for parameter in model.parameters()]

    assert [0, 48][: len(starts)] == starts


@pytest.mark.parametrize("case", CASES)
def test_the_shape_that_is_needed(case: str, tmp_path: Path) -> None:
    """A wrong shape is said once, in the words of the file."""
    rows, shapes, stored = CASES[case]
    wrong = (*stored[:-1], stored[-1] + 1)
    checkpoint = Checkpoint.open(write_single(tmp_path / "a", {"s": torch.zeros(wrong)}))
    with pytest.raises(WeightsError) as caught:
        materialize(model_of(shapes), WeightMap(rows), checkpoint)

    assert 1 == len(caught.value.problems)
    assert f"the model needs shape {list(stored)}, stored is {list(wrong)}: s" in str(caught.value)


def test_large_tensors_are_turned_in_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the stretch, the numbers are the same."""
    monkeypatch.setattr(sys.modules["composer.store.materialize"], "_CAST_BYTES", 8)
    for case, (rows, shapes, stored) in CASES.items():
        numbers = torch.randn(stored)
        folder = write_single(tmp_path / case.replace(" ", "-"), {"s": numbers})
        model = model_of(shapes, torch.float64)
        materialize(model, WeightMap(rows), Checkpoint.open(folder))
        merged = stored_tensors(WeightMap(rows), dict(model.named_parameters()))["s"].detach()

        assert torch.equal(numbers.double(), merged), case
