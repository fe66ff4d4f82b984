"""Tensors into a model: aliases, ties, prefixes, precision, and what stays mapped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from composer.errors import WeightsError
from composer.layout.rows import Row, WeightMap
from composer.store import Checkpoint, materialize
from composer.store.finite import not_finite

from .conftest import tensors, write_single

MAP = WeightMap(
    (
        Row("embed.weight", ("model.embed.weight", "model.table.weight")),
        Row("layers.{i}.weight", ("model.layers.{i}.q.weight",)),
        Row("head.weight", ("lm_head.weight",), tied="embed.weight"),
    ),
    ignore=("model.layers.{i}.inv_freq",),
    prefix="model.",
)


class Small(nn.Module):
    """A table, two matrices and a head that is the table or not."""

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(2))
        self.head = nn.Linear(4, 5, bias=False)
        if tied:
            self.head.weight = self.embed.weight


def stored(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a tied checkpoint holds."""
    found = {f"model.layers.{i}.q.weight": torch.full((4, 4), float(i)) for i in range(2)}
    return {"model.embed.weight": torch.arange(20.0).view(5, 4), **found, **more}


def filled(folder: Path, found: dict[str, torch.Tensor], tied: bool = True, **options: bool) -> Small:
    """A model on the meta device, filled."""
    checkpoint = Checkpoint.open(write_single(folder / "model", found))
    with torch.device("meta"):
        model = Small(tied)
    materialize(model, MAP, checkpoint, **options)
    return model


def test_every_holder_of_a_shared_parameter(tmp_path: Path) -> None:
    """A tied head is the same parameter afterwards, and needs no gradient if it needed none."""
    with torch.device("meta"):
        model = Small()
    model.layers[0].weight.requires_grad_(False)
    materialize(model, MAP, Checkpoint.open(write_single(tmp_path / "model", stored())))

    assert model.head.weight is model.embed.weight
    assert [False, True] == [layer.weight.requires_grad for layer in model.layers]
    assert 1.0 == model.layers[1].weight.mean()


@pytest.mark.parametrize("name", ["lm_head.weight", "model.table.weight"])
def test_copies_must_agree(name: str, tmp_path: Path) -> None:
    """Another name of one parameter may be there if it holds the same numbers."""
    filled(tmp_path, stored(**{name: torch.arange(20.0).view(5, 4)}))
    with pytest.raises(WeightsError, match=f"model.embed.weight and {name} stand for one parameter"):
        filled(tmp_path, stored(**{name: torch.ones(5, 4)}))
    with pytest.raises(WeightsError, match="hold different numbers"):
        filled(tmp_path, stored(**{name: torch.arange(20.0).view(5, 4).half()}))


def test_a_base_checkpoint_lacks_the_prefix(tmp_path: Path) -> None:
    """Where no name has the prefix, none needs it; what is ignored with it is ignored without."""
    found = {name.removeprefix("model."): tensor for name, tensor in stored().items()}
    model = filled(tmp_path, {**found, "layers.1.inv_freq": torch.ones(2)})

    assert 19.0 == model.embed.weight.max()


def test_a_model_without_its_head(tmp_path: Path) -> None:
    """Tensors of the head are passed over when the head was not asked for, and only those."""
    found = stored(**{"lm_head.weight": torch.ones(5, 4)})
    checkpoint = Checkpoint.open(write_single(tmp_path / "model", found))
    with torch.device("meta"):
        model = nn.Module()
        model.embed = nn.Embedding(5, 4)
        model.layers = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(2))
    with pytest.raises(WeightsError, match="hold different numbers"):
        materialize(model, MAP, checkpoint)
    materialize(model, MAP, checkpoint, whole=False)

    assert 19.0 == model.embed.weight.max()


def test_no_row_is_said(tmp_path: Path) -> None:
    """A parameter that the map does not know is an error before anything is read."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(WeightsError, match="the weight map has no row for 0.weight") as caught:
        materialize(model, MAP, Checkpoint.open(write_single(tmp_path / "model", stored())))
    assert "E532" == caught.value.code


def test_same_precision_stays_mapped(tmp_path: Path) -> None:
    """What needs no cast shares the pages of the file; what does is a copy."""
    folder = write_single(tmp_path / "model", stored())
    checkpoint = Checkpoint.open(folder)
    with torch.device("meta"):
        model = Small()
    model.layers[1].half()
    materialize(model, MAP, checkpoint)

    assert checkpoint.tensor("model.embed.weight").data_ptr() == model.embed.weight.data_ptr()
    assert torch.float16 == model.layers[1].weight.dtype


@pytest.mark.parametrize("source", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("target", [torch.float16, torch.bfloat16, torch.float32])
def test_casts_equal_torch(source: torch.dtype, target: torch.dtype, tmp_path: Path) -> None:
    """Stretch by stretch gives what one cast gives."""
    found = {name: tensor.to(source) for name, tensor in stored().items()}
    folder = write_single(tmp_path / "model", found)
    with torch.device("meta"):
        model = Small().to(target)
    materialize(model, MAP, Checkpoint.open(folder))

    assert torch.equal(found["model.embed.weight"].to(target), model.embed.weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 7, 64, 600_000])
def test_finite_check_agrees_with_torch(dtype: torch.dtype, size: int, threads: None) -> None:
    """Whatever the value, its place and the alignment: found exactly when torch finds it."""
    edge = torch.finfo(dtype)
    for number, value in enumerate(
        (float("nan"), float("inf"), -float("inf"), edge.max, edge.min, -0.0, 2.0)
    ):
        torch.set_num_threads(1 + number % 3)
        tensor = torch.randn(size + 1).to(dtype)[number % 2 :][:size]
        tensor[(number * 7919) % size] = value
        expected = [] if torch.isfinite(tensor).all() else ["x"]
        assert expected == not_finite({"x": tensor, "y": torch.zeros(3, dtype=dtype)}), value


def test_published_names(tmp_path: Path) -> None:
    """Checkpoints of the first era also hold the frequencies of their rotations; those are computed here."""
    import composer

    found = tensors() | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(2) for i in range(3)}

    assert 3 == len(composer.load(write_single(tmp_path / "model", found)).layers)
