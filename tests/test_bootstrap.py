"""The set-up script: which torch it asks for, what it refuses, and that it can be run again."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "bootstrap.py"


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, at work in an empty folder, on a machine without a GPU or a network."""
    monkeypatch.setenv("COMPOSER_VENV", str(tmp_path / "venv"))
    monkeypatch.setenv("COMPOSER_TORCH_INDEX", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "test"])
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tool(folder: Path, name: str, text: str, code: int = 0) -> None:
    """A program on the PATH that prints `text`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{text}\nEND\nexit {code}\n", encoding="utf-8")
    path.chmod(0o755)


def fake_torch(bootstrap: ModuleType, gpu: str | None) -> None:
    """An environment whose Python says it has torch 2.13.0 built for `gpu`."""
    bootstrap.BIN.mkdir(parents=True)
    tool(bootstrap.BIN, "python", f"2.13.0 {gpu}")


def test_standard_library_only() -> None:
    """A machine that has nothing yet can run it."""
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    used = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    used |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.split(".")[0] for name in used} <= sys.stdlib_module_names | {"__future__"}


@pytest.mark.parametrize(
    ("printed", "code", "expected"),
    [("GPU 0: some card", 0, True), ("No devices found.", 0, False), ("driver not loaded", 9, False)],
)
def test_a_gpu_is_one_that_the_driver_lists(
    bootstrap: ModuleType, tmp_path: Path, printed: str, code: int, expected: bool
) -> None:
    """The driver's tool alone, without a card or without its driver, is no GPU."""
    tool(tmp_path / "bin", "nvidia-smi", printed, code)

    assert expected is bootstrap.has_nvidia_gpu()


def test_no_driver_no_gpu(bootstrap: ModuleType) -> None:
    """Without the driver's tool there is no GPU."""
    assert bootstrap.has_nvidia_gpu() is False


def test_a_dead_index_is_noticed(bootstrap: ModuleType) -> None:
    """An index that does not answer is an answer too, not an exception."""
    assert bootstrap.answers("http://127.0.0.1:9/simple") is False
    assert bootstrap.answers("not an address") is False
    assert bootstrap.answers("") is False


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the default build has no CUDA, so nothing is refused"
)
def test_refuses_before_fetching_cuda(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no CPU build is on offer nothing is fetched, and the message says what helps.

    The environment is made as on systems without ensurepip: the machine's own pip reaches into it.
    """
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda name: None)
    bootstrap.make_environment()
    bootstrap.LOG.write_text("", encoding="utf-8")

    with pytest.raises(bootstrap.Failure) as caught:
        bootstrap.install_cpu_torch()

    assert "no CPU build of torch is on offer for Python" in str(caught.value)
    assert "several GB of CUDA" in str(caught.value)
    assert "COMPOSER_TORCH_INDEX=<address> python3 bootstrap.py test" in str(caught.value)
    assert "No matching distribution found for torch==2.13.0+cpu" in str(caught.value)


def test_refuses_a_gpu_build_without_a_gpu(bootstrap: ModuleType) -> None:
    """A CUDA torch that is already in the environment is named, not used."""
    fake_torch(bootstrap, "13.0")

    with pytest.raises(bootstrap.Failure, match=r"torch 2\.13\.0 in .*venv is built for a GPU \(13\.0\)"):
        bootstrap.install_cpu_torch()


def test_takes_the_torch_that_is_there(bootstrap: ModuleType) -> None:
    """A CPU build that someone put there stays; pip is not asked."""
    fake_torch(bootstrap, None)

    bootstrap.install_cpu_torch()

    assert not bootstrap.LOG.exists()


def test_stamp_follows_pyproject_and_extra(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment is made again exactly when what it depends on has changed."""
    before = bootstrap.fingerprint("[test]")
    for name in ("pyproject.toml", "bootstrap.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes() + b"\n")

    assert before == bootstrap.fingerprint("[test]")
    assert before != bootstrap.fingerprint("")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    assert before != bootstrap.fingerprint("[test]")


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["tset"], 2), (["demo", "now"], 2), (["--help"], 0)]
)
def test_usage(arguments: list[str], code: int, tmp_path: Path) -> None:
    """A wrong word gets the usage and exit code 2, before anything is installed."""
    environment = {**os.environ, "COMPOSER_VENV": str(tmp_path / "venv")}
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert code == done.returncode
    assert "python3 bootstrap.py demo" in done.stderr
    assert not (tmp_path / "venv").exists()
