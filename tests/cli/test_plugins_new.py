"""`plugins new`: names, files, and that nothing is overwritten."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from composer.cli import files
from composer.cli.scaffold import FILES, SUMMARIES, Package, requirement_for, text_of
from composer.cli.scaffold.naming import USED, Names, names_of
from composer.plugins import catalog

from .conftest import Run


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("template", SUMMARIES)
def test_a_package_is_written(template: str, run: Run) -> None:
    """Every file, with nothing left to be filled in, and the linter and the formatter content with it."""
    done = run("plugins", "new", "My.First_mixer", "--template", template)
    folder = Path("my-first-mixer")
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()]
    tools = [["check"], ["format", "--check"]]
    codes = [
        subprocess.run([sys.executable, "-m", "ruff", *t, "--no-cache", "."], cwd=folder).returncode
        for t in tools
    ]

    assert (0, "my-first-mixer\n") == (done.code, done.out)
    assert len(FILES) == len(written)
    assert "src/my_first_mixer/specs/my-first-mixer-tiny.yaml" in written
    assert [] == [text for text in texts if "{{" in text]
    assert [0, 0] == codes


def test_what_it_demands_of_the_host(run: Run) -> None:
    """The entry point is named after the kind, and the versions are those that the running one stands for."""
    run("plugins", "new", "gated-mean", "-o", "deep/er/here")
    project = tomllib.loads(Path("deep/er/here/pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {"arch_composer": {"gated-mean": "gated_mean"}} == project["entry-points"]
    assert ["arch-composer>=0.1,<0.2"] == project["dependencies"]
    assert "arch-composer>=1.4,<2" == requirement_for("1.4.2")
    assert "arch-composer" == requirement_for(None)


def test_names_follow_from_one() -> None:
    """However it is spelled, it is one distribution, one package, one kind and one class."""
    names = names_of("Gated__Mean.2")

    assert Names("gated-mean-2") == names
    assert ("gated_mean_2", "gated-mean-2", "GatedMean2") == (names.package, names.kind, names.cls)
    assert "SlotBlock" == names_of("slot").cls


@pytest.mark.parametrize("template", SUMMARIES)
def test_no_class_hides_an_import(template: str) -> None:
    """What the templates import is on the list of names that a class of options does not take."""
    package = Package(names_of("gated-mean"), template, "arch-composer")
    imported = {
        alias.asname or alias.name
        for path, text in package.files().items()
        if path.startswith("src") and path.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }

    capital = {name for name in imported if name[0].isupper()}

    assert capital <= {*USED, "GatedMean", "GatedMeanModule", "TYPE_CHECKING"}


def test_every_template_is_used() -> None:
    """A file of the folder that no package gets would be forgotten."""
    folder = Path(files.__file__).parent / "scaffold"
    lying = {path.relative_to(folder).as_posix() for path in folder.rglob("*.in")}
    used = {
        f"{group}/{name}" for name in FILES.values() if name for group in ("common", *SUMMARIES)
        if (folder / group / name).is_file()
    }  # fmt: skip

    assert lying == used
    assert all(text_of(name, group) for name in FILES.values() if name for group in SUMMARIES)


def test_nothing_is_left_of_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package appears whole or not at all, and what is there stays."""

    def full(file: str, text: str) -> None:
        if file.endswith("README.md"):
            raise OSError(28, "No space left on device")
        Path(file).write_text(text, encoding="utf-8")

    with monkeypatch.context() as broken:
        broken.setattr(files, "create_text", full)
        done = run("plugins", "new", "gated-mean")
    Path("other").write_text("mine", encoding="utf-8")
    refused = run("plugins", "new", "gated-mean", "-o", "other")

    assert (1, 2) == (done.code, refused.code)
    assert (["other"], "mine") == (os.listdir(), Path("other").read_text(encoding="utf-8"))


def test_the_kind_is_free(run: Run) -> None:
    """A name that a kind, a plugin or a local file has already is refused, limits or not."""
    codes = [run("plugins", "new", kind).code for kind in catalog().offers]

    assert [2] * len(codes) == codes
    assert [] == os.listdir()
