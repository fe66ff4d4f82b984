"""Opening a checkpoint: what is found, what is mapped, and that nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from composer.errors import WeightsError
from composer.store import Checkpoint
from composer.store.files import contained

from .conftest import read_index, rewrite, tensors, write_index, write_single


@pytest.mark.parametrize("form", ["single", "sharded"])
def test_tensors_as_stored(form: str, request: pytest.FixtureRequest) -> None:
    """Every tensor is there once, bit for bit, whether in one file or in shards."""
    checkpoint = Checkpoint.open(request.getfixturevalue(form))
    expected = tensors()

    assert sorted(expected) == sorted(checkpoint.names())
    assert all(torch.equal(tensor, checkpoint.tensor(name)) for name, tensor in expected.items())
    assert (11, 8) == checkpoint.shape("lm_head.weight")
    assert torch.float32 == checkpoint.dtype("lm_head.weight")


def test_hub_cache_of_links(sharded: Path, tmp_path: Path) -> None:
    """A folder whose files are symbolic links to blobs elsewhere opens as any other."""
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for number, file in enumerate(sorted(sharded.iterdir())):
        blob = tmp_path / f"blob{number}"
        file.rename(blob)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))

    assert sorted(tensors()) == sorted(Checkpoint.open(snapshot).names())


def test_other_files_are_not_touched(single: Path) -> None:
    """Files that neither name asks for are never opened: a repository ships its weights in several forms."""
    (single / "consolidated.safetensors").write_bytes(b"not one")
    os.mkfifo(single / "extra.safetensors")

    assert len(tensors()) == len(Checkpoint.open(single).names())


def test_writing_to_a_tensor_leaves_the_file(single: Path) -> None:
    """The map is private: what is done to a tensor stays in memory."""
    before = (single / "model.safetensors").read_bytes()
    tensor = Checkpoint.open(single).tensor("lm_head.weight")
    tensor.fill_(3)

    assert 3 * 11 * 8 == tensor.sum()
    assert before == (single / "model.safetensors").read_bytes()


def test_forgetting_spares_what_was_written(single: Path) -> None:
    """Pages given back after a cast are never those of a tensor that somebody changed."""
    checkpoint = Checkpoint.open(single)
    mine = checkpoint.tensor("lm_head.weight").fill_(3)
    for name in checkpoint.names():
        checkpoint.shard(name).passing(name).sum()
        checkpoint.shard(name).forget(name)

    assert bool((mine == 3).all())


def test_unaligned_and_empty_tensors(tmp_path: Path) -> None:
    """A tensor that starts between two numbers is copied; one without elements has its shape."""
    folder = write_single(tmp_path / "odd", {"a": torch.arange(3.0), "b": torch.zeros(0, 4)})
    rewrite(folder / "model.safetensors", lambda header: header.update({"__metadata__": {"format": "ptx"}}))
    checkpoint = Checkpoint.open(folder)

    assert [0.0, 1.0, 2.0] == checkpoint.tensor("a").tolist()
    assert (0, 4) == tuple(checkpoint.tensor("b").shape)


@pytest.mark.parametrize("count", [-1, 1])
def test_stale_total_size_of_another_precision(sharded: Path, count: int) -> None:
    """Converters leave the old byte count standing; twice or half of it is not held against the file."""
    index = read_index(sharded)
    index["metadata"]["total_size"] = float(index["metadata"]["total_size"] * 2**count)
    write_index(sharded, index)

    assert len(tensors()) == len(Checkpoint.open(sharded).names())


@pytest.mark.parametrize("name", ["a.safetensors", "sub/a.safetensors", "…/a.safetensors", "a b.safetensors"])
def test_names_that_stay_inside(name: str) -> None:
    """Relative names are fine, in any script."""
    assert contained(name)


@pytest.mark.parametrize(
    "name",
    ["", "/a", "../a", "a/../b", "a/..", "./a", "a//b", "a/", "C:a", "C:/a", "\\\\host\\a", "a\\b", "a\0",
     "a\n", "~/../a", ". ./a", "a/... /b", "x" * 1025, "//host/a", "a/.. /b"],
)  # fmt: skip
def test_names_that_lead_elsewhere(name: str) -> None:
    """Whatever any system could read as another folder, a drive, a share or a device is refused."""
    assert not contained(name)


def test_a_pipe_never_hangs(sharded: Path) -> None:
    """A shard that is a pipe is refused at once."""
    shard = sharded / "model-00001-of-00002.safetensors"
    shard.unlink()
    os.mkfifo(shard)

    with pytest.raises(WeightsError, match="not a regular file"):
        Checkpoint.open(sharded)
