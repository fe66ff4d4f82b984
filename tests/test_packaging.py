"""What is in the wheel and the sdist, and that both entrances work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PLUGINS = {"composer_attention", "composer_mamba2", "composer_mlp"}


def build(hook: str, source: Path, target: Path) -> Path:
    """Run one hook of the build backend on a source tree: no isolation, no network."""
    code = f"import sys; from hatchling.build import {hook}; print({hook}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        check=True,
    )
    return target / done.stdout.split()[-1]


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("build_wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installation of the wheel lays down."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_wheel_holds_the_host_and_its_plugins_and_nothing_else(wheel: Path) -> None:
    """No tests, docs or `plugins` folder ends up in anyone's site-packages."""
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert {"composer", f"arch_composer-{PROJECT['version']}.dist-info"} | PLUGINS == top


def test_wheel_holds_types_and_data(wheel: Path) -> None:
    """Type markers, every shipped spec and the small model with its tokenizer travel in the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {
        p.relative_to(ROOT / "specs")
        for p in (ROOT / "specs").rglob("*")
        if p.is_file() and p.suffix != ".md"
    }

    assert {f"{package}/py.typed" for package in PLUGINS | {"composer"}} <= names
    assert {f"composer/_specs/{path.as_posix()}" for path in data} <= names
    assert {"model.safetensors", "tokenizer.json"} <= {Path(name).name for name in names}


def test_wheel_stays_small(wheel: Path) -> None:
    """Each of the three small models may weigh 2 MB; everything else is text."""
    assert wheel.stat().st_size < 7_000_000


def test_wheel_from_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    """Byte for byte: the sdist lacks nothing that the wheel needs."""
    with tarfile.open(build("build_sdist", ROOT, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build("build_wheel", tmp_path / f"arch_composer-{PROJECT['version']}", tmp_path)

    assert wheel.read_bytes() == again.read_bytes()


def test_editable_install_is_two_paths(tmp_path: Path) -> None:
    """An editable install adds the checkout and its plugins folder, so type checkers see both."""
    archive = zipfile.ZipFile(build("build_editable", ROOT, tmp_path))
    paths = [archive.read(name).decode().splitlines() for name in archive.namelist() if name.endswith(".pth")]

    assert [{str(ROOT), str(ROOT / "plugins")}] == [set(lines) for lines in paths]


def test_unpacked_wheel_works(unpacked: Path, tmp_path: Path) -> None:
    """Away from the checkout the package finds its own specs, and `python -m composer` answers."""
    where = run(sys.executable, "-c", "import composer; print(composer.__file__)", cwd=tmp_path,
                PYTHONPATH=str(unpacked))  # fmt: skip
    shown = run(sys.executable, "-m", "composer", "show", "mistral-7b-v0.1", cwd=tmp_path,
                PYTHONPATH=str(unpacked))  # fmt: skip

    assert str(unpacked / "composer" / "__init__.py") == where.strip()
    assert "7,241,732,096" in shown


def test_module_and_command_say_the_same(tmp_path: Path) -> None:
    """`arch-composer` and `python -m composer` are one program, with the distribution's version."""
    command = Path(sys.executable).with_name("arch-composer")
    spoken = [
        run(*start, "--version", cwd=tmp_path)
        for start in ([str(command)], [sys.executable, "-m", "composer"])
    ]

    assert spoken[0] == spoken[1]
    assert PROJECT["version"] in spoken[0]


def test_plugins_register_as_a_stranger_would(unpacked: Path) -> None:
    """Our own blocks come through the public entry-point group, one entry per plugin folder."""
    declared = PROJECT["entry-points"]["arch_composer"]

    assert (
        PLUGINS
        == set(declared.values())
        == {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()}
    )
    assert set(declared.items()) <= {(e.name, e.value) for e in entry_points(group="arch_composer")}
    assert PROJECT["version"] == version("arch-composer")


def test_every_dependency_is_imported() -> None:
    """What is installed for users is what the package uses."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "composer").rglob("*.py")]
    modules = {"pyyaml": "yaml"}
    named = [re.split(r"[<>=]", each)[0] for each in PROJECT["dependencies"]]

    assert [] == [
        name
        for name in named
        if not any(re.search(rf"^\s*(import|from) {modules.get(name, name)}\b", s, re.M) for s in sources)
    ]
