"""Another library installs a package of the same import name; that is said plainly."""

from __future__ import annotations

from importlib.metadata import PackagePath
from pathlib import Path

import pytest

from composer import plugins
from composer.plugins import foreign


def message(place: Path) -> str:
    return (
        f"composer: another library's package `composer` is in this environment: {place} [E407]\n"
        "   hint: both have the same import name; install arch-composer into an environment of its own"
    )


def package(folder: Path, *names: str) -> Path:
    """A package `composer` holding empty files of those names."""
    home = folder / "composer"
    home.mkdir(parents=True)
    for name in names:
        (home / name).touch()
    return home


def test_alone_is_fine() -> None:
    """The environment that runs the tests has one `composer`, ours."""
    assert [] == [problem for problem in plugins.catalog().problems if problem.code == "E407"]


def test_foreign_package_on_the_path(tmp_path: Path) -> None:
    """A package of that name elsewhere on the search path is reported with its folder."""
    home = package(tmp_path / "site", "__init__.py", "trainer.py")
    again = package(tmp_path / "copy", "__init__.py", "pattern")
    found = plugins.foreign_composer([str(tmp_path / "site"), str(again.parent), "nowhere"], again)

    assert [message(home)] == [str(problem) for problem in found]


def test_foreign_files_in_our_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions that write into one folder leave files there that are not ours."""
    home = package(tmp_path, "__init__.py", "pattern.py", "trainer.py")
    shipped = [PackagePath("composer/__init__.py"), PackagePath("composer/pattern.py")]
    monkeypatch.setattr(foreign, "files", lambda name: shipped)
    found = plugins.foreign_composer([], home)

    assert [message(home / "trainer.py")] == [str(problem) for problem in found]
