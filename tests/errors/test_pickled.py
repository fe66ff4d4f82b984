"""Every error of pickled weights and of numbered files: its code, and its words as users read them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from composer.errors import WeightsError
from composer.store.original import open_weights

BIN = "pytorch_model.bin"
PART = "consolidated.00.pth"


def refused(folder: Path) -> str:
    """What is said of the weights in a folder, which is called F."""
    with pytest.raises(WeightsError) as caught:
        open_weights(folder)
    return str(caught.value).replace(str(folder), "F")


def saved(folder: Path, found: Any, name: str = BIN) -> Path:
    """The folder with such a file."""
    torch.save(found, folder / name)
    return folder


def test_torch_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E540 names the release that is needed and the one that is there."""
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    said = "pickled weights are read with torch 2.10 or newer; this is 2.9.1 [E540]"
    hint = "   hint: convert them to safetensors, or update torch"
    assert f"{said}\n{hint}" == refused(saved(tmp_path, {}))


def test_no_file_of_torch(tmp_path: Path) -> None:
    """E541 for what ends early, is empty or is something else."""
    hint = "   hint: download it again"
    for raw, what in ((b"", "is empty"), (pickle.dumps({}), "is no file that torch.save wrote")):
        (tmp_path / BIN).write_bytes(raw)
        assert f"F/{BIN} {what} [E541]\n{hint}" == refused(tmp_path)
    saved(tmp_path, {"a": torch.ones(1)})
    raw = (tmp_path / BIN).read_bytes()
    (tmp_path / BIN).write_bytes(raw[:-1])
    assert f"F/{BIN} is damaged or cut off: File is not a zip file [E541]\n{hint}" == refused(tmp_path)


def test_more_than_tensors_is_wanted(tmp_path: Path) -> None:
    """E542 names what would have been called."""
    saved(tmp_path, torch.nn.Linear(1, 1))
    what = "wants to call torch.nn.modules.linear.Linear when it is opened; only tensors are read"
    hint = "nothing of it was run; take safetensors, or ask where this file comes from"
    assert f"F/{BIN} {what} [E542]\n   hint: {hint}" == refused(tmp_path)


def test_other_things_than_tensors(tmp_path: Path) -> None:
    """E543 names them."""
    hint = "   hint: a checkpoint of a model is read, not that of a training run"
    said = f"F/{BIN} holds a int under 'epoch' where a tensor is expected [E543]"
    assert f"{said}\n{hint}" == refused(saved(tmp_path, {"epoch": 3}))
    said = f"F/{BIN} holds a list where tensors by name are expected [E543]"
    assert f"{said}\n{hint}" == refused(saved(tmp_path, [1]))


def test_numbered_files(tmp_path: Path) -> None:
    """E544 for files of which one is absent, or that are of several models."""
    saved(tmp_path, {"norm.weight": torch.ones(2)}, "consolidated.01.pth")
    assert f"F lacks {PART} [E544]" == refused(tmp_path)
    saved(tmp_path, {"norm.weight": torch.zeros(2)}, PART)
    said = f"F/{PART}: norm.weight differs between the files and is not cut [E544]"
    assert said == refused(tmp_path)
