"""Distributions with plugins that exist for one test, and what plugins in files look like."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from composer import plugins

GOOD = """
import composer
from pydantic import Field
class Echo(composer.Block):
    kind = "echo"
    size: int = Field(default=1, description="Nothing.")
    def declares(self, site):
        return composer.Declared()
@composer.hookimpl
def composer_blocks():
    return [Echo]
"""
FILE = GOOD.split("@composer.hookimpl")[0]
SPEC = """
composer: 1
name: tiny
vocab_size: 8
hidden_size: 4
norm: {kind: rms, eps: 1.0e-5}
pattern: e
blocks:
  e: {kind: echo}
"""


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, code: str, point: str = "", requires: str = "") -> None:
        """A distribution with one module and one entry point, which may ask for a version of another."""
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(code, encoding="utf-8")
        info = self.folder / f"{module}-1.0.dist-info"
        info.mkdir()
        asked = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{asked}")
        (info / "entry_points.txt").write_text(f"[arch_composer]\n{point or name} = {module}\n")


@contextmanager
def site_in(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An environment whose plugins are the first-party ones and those that a test installs into the folder."""
    patch.syspath_prepend(str(folder))
    for variable in (plugins.LIMIT, plugins.FILES, plugins.TIMEOUT):
        patch.delenv(variable, raising=False)
    plugins.installed.cache_clear()
    yield Site(folder)
    plugins.installed.cache_clear()
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)
