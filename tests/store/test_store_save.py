"""Saving: the folder changes at once or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import composer.store
from composer.errors import WeightsError
from composer.store import Checkpoint, save_tensors
from composer.store.write import plan_shards

from .. import prove
from .conftest import tensors, whole


def same(folder: Path, expected: dict[str, torch.Tensor]) -> bool:
    """Whether a folder opens and holds exactly these tensors."""
    checkpoint = Checkpoint.open(folder)
    if sorted(expected) != sorted(checkpoint.names()):
        return False
    return all(torch.equal(tensor, checkpoint.tensor(name)) for name, tensor in expected.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("most", [10**9, 300])
def test_what_is_written_is_read(dtype: torch.dtype, most: int, tmp_path: Path) -> None:
    """One file or shards, the library reads back the same bits and so do we; views too."""
    found = tensors(dtype=dtype)
    found["turned"] = torch.arange(6.0).view(2, 3).T.to(dtype)
    save_tensors(tmp_path / "model", found, {"config.json": b"{}"}, max_shard_size=most)
    read = whole(tmp_path / "model")

    assert same(tmp_path / "model", found)
    assert all(torch.equal(tensor, read[name]) for name, tensor in found.items())
    assert (most == 300) == (tmp_path / "model" / "model.safetensors.index.json").exists()


def test_shards_keep_the_order_and_the_size() -> None:
    """A shard is full before the next begins; a tensor larger than a shard has one of its own."""
    found = {name: torch.zeros(size) for name, size in {"a": 2, "b": 3, "c": 9, "d": 1}.items()}

    assert [["a", "b"], ["c"], ["d"]] == list(plan_shards(found, 20).values())
    assert ["model.safetensors"] == list(plan_shards(found, 60))
    assert ["model.safetensors"] == list(plan_shards({}, 60))


def test_a_second_save_replaces_the_first(tmp_path: Path) -> None:
    """No file of the old checkpoint stays; files that were not ours do, permissions too."""
    folder = tmp_path / "model"
    save_tensors(folder, tensors(0), {"config.json": b"{}", "composer.yaml": b"a"}, max_shard_size=300)
    (folder / "README.md").write_text("mine")
    (folder / "notes").mkdir()
    (folder / "notes" / "a").write_text("b")
    folder.chmod(0o750)
    save_tensors(folder, tensors(1), {"config.json": b"[]"})

    assert ["README.md", "config.json", "model.safetensors", "notes"] == sorted(os.listdir(folder))
    assert "b" == (folder / "notes" / "a").read_text()
    assert (0o750, 0o640) == tuple(path.stat().st_mode & 0o777 for path in (folder, folder / "config.json"))
    assert same(folder, tensors(1))
    assert ["model"] == os.listdir(tmp_path)


def test_a_tokenizer_replaces_another(tmp_path: Path) -> None:
    """With a tokenizer, files of an older one go; without, they stay."""
    folder = tmp_path / "model"
    save_tensors(folder, tensors(0), more=lambda place: (place / "tokenizer.model").write_text("old"))
    save_tensors(folder, tensors(0))
    assert (folder / "tokenizer.model").exists()
    save_tensors(folder, tensors(0), more=lambda place: (place / "tokenizer.json").write_text("new"))
    assert ["model.safetensors", "tokenizer.json"] == sorted(os.listdir(folder))


def test_saving_over_the_mapped_file(tmp_path: Path) -> None:
    """A checkpoint may be saved over itself: its tensors keep the old file until they are let go."""
    folder = tmp_path / "model"
    save_tensors(folder, tensors(0))
    checkpoint = Checkpoint.open(folder)
    mapped = {name: checkpoint.tensor(name) for name in checkpoint.names()}
    save_tensors(folder, {name: tensor + 1 for name, tensor in mapped.items()})

    assert all(torch.equal(tensor, mapped[name]) for name, tensor in tensors(0).items())
    assert same(folder, {name: tensor + 1 for name, tensor in tensors(0).items()})


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    """The link stays a link; the folder it means is replaced."""
    save_tensors(tmp_path / "real", tensors(0))
    (tmp_path / "link").symlink_to("real")
    save_tensors(tmp_path / "link", tensors(1))

    assert (tmp_path / "link").is_symlink()
    assert same(tmp_path / "real", tensors(1))


CALLS = {
    "fsync": os, "chmod": os, "open": os, "link": os, "mkdir": os, "write_bytes": Path, "mkdtemp": tempfile,
    "write_tensors": composer.store.write, "_swap": composer.store.swap,
}  # fmt: skip


def failing(number: int, real: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    """`real`, but its `number`-th call finds the disk full."""
    seen: list[int] = []

    def fake(*arguments: Any, **rest: Any) -> Any:
        seen.append(1)
        if len(seen) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **rest)

    return fake, seen


def attempt(folder: Path) -> str:
    """Save the second checkpoint over the first; the code of the error, if any."""
    try:
        save_tensors(folder, tensors(1), {"config.json": b"[]"}, max_shard_size=2000)
    except WeightsError as error:
        return error.code
    return ""


@pytest.mark.parametrize("call", CALLS)
def test_every_failing_call(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call to the system fails once: the folder stays whole, nothing is left, the error is clear."""
    folder, real, number, seen = tmp_path / "model", getattr(CALLS[call], call), 0, [1]
    while len(seen) >= number:
        number += 1
        save_tensors(folder, tensors(0), max_shard_size=900)
        (folder / "README.md").write_text("mine")
        fake, seen = failing(number, real)
        with monkeypatch.context() as patch:
            patch.setattr(CALLS[call], call, fake)
            code = attempt(folder)
        assert code in ("", "E521")
        assert same(folder, tensors(0 if code else 1))
        assert "mine" == (folder / "README.md").read_text()
        # Tidying needs os.open itself; what it then leaves goes with the next save.
        assert ["model"] == os.listdir(tmp_path) or call == "open"
    assert number > 1


@pytest.mark.parametrize("call", CALLS)
def test_a_failed_first_save(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there was nothing there is nothing, or the whole."""
    fake, _ = failing(1, getattr(CALLS[call], call))
    with monkeypatch.context() as patch:
        patch.setattr(CALLS[call], call, fake)
        code = attempt(tmp_path / "model")

    assert ([] if code else ["model"]) == os.listdir(tmp_path)


def test_without_the_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders cannot be exchanged in one step the old one makes way."""
    monkeypatch.setattr("composer.store.swap._exchange", lambda one, other: False)
    for seed in range(2):
        save_tensors(tmp_path / "model", tensors(seed))

    assert same(tmp_path / "model", tensors(1))
    assert ["model"] == os.listdir(tmp_path)


def dying(folder: Path, number: int, seed: int) -> bool:
    """Save in a child that dies at its `number`-th operation on files; whether it lived."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # a fork beside idle threads, which the child does not use
        child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    seen: list[str] = []

    def watch(event: str, arguments: Any) -> None:
        if event.startswith(("os.", "open", "shutil.", "ctypes.", "tempfile.")):
            seen.append(event)
            if len(seen) == number:
                os._exit(9)

    sys.addaudithook(watch)
    save_tensors(folder, tensors(seed), {"config.json": str(seed).encode()}, max_shard_size=900)
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="dies in a child")
@pytest.mark.parametrize("first", [True, False])
def test_killed_at_every_operation(first: bool, tmp_path: Path) -> None:
    """Death at each step of a save, one after the other: the old folder or the new one, whole."""
    folder, number = tmp_path / "model", 0
    while True:
        number += 1
        if first:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            save_tensors(folder, tensors(0), {"config.json": b"0"})
        lived = dying(folder, number, 1)
        if folder.exists() or not first or lived:
            assert same(folder, tensors(int((folder / "config.json").read_text())))
        if lived:
            break
    assert number > 20
    assert ["model"] == os.listdir(tmp_path)
    prove.counted("a save that dies at an operation on files leaves the old folder or the new one", number)


KILLED = """
import sys, torch
from composer.store import save_tensors
found = [{f"t{i}": torch.full((40, 1000), float(seed)) for i in range(8)} for seed in range(2)]
print("ready", flush=True)
while True:
    for seed in range(2):
        save_tensors(sys.argv[1], found[seed], {"config.json": str(seed).encode()}, max_shard_size=400_000)
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """However a save is killed, the folder is one of the two whole ones, and the next save tidies up."""
    folder = tmp_path / "model"
    expected = [{f"t{i}": torch.full((40, 1000), float(seed)) for i in range(8)} for seed in range(2)]
    save_tensors(folder, expected[0], {"config.json": b"0"})
    script = tmp_path / "save.py"
    script.write_text(KILLED)
    count = prove.cases(2, 200)
    for _ in range(count):
        run = subprocess.Popen([sys.executable, script, folder], stdout=subprocess.PIPE)
        assert run.stdout is not None
        assert b"ready\n" == run.stdout.readline()
        time.sleep(random.uniform(0, 0.05))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert same(folder, expected[int((folder / "config.json").read_text())])
    save_tensors(folder, expected[0])

    assert ["model", "save.py"] == sorted(os.listdir(tmp_path))
    prove.counted("a killed save leaves the old folder or the new one", count)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot fit is refused before the first byte, with both sizes."""
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000})())
    with pytest.raises(WeightsError, match=r"it needs 1 MB and the disk has 1 MB left"):
        save_tensors(tmp_path / "new" / "model", tensors())

    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("up", [0, 1, 3])
def test_the_working_folder_is_not_replaced(up: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell would be left in a folder that is gone."""
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    with pytest.raises(WeightsError, match="the folder you are working in"):
        save_tensors("/".join([".."] * up) or ".", tensors())
