"""The plugins of this folder, each a distribution of its own, are offered to the catalog without being installed.

Their packages can be imported; while their tests run, an entry point for each stands on the path, as an installer
would leave it.
"""

from __future__ import annotations

import os
import random
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the first import of the libraries that read them
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

PROJECTS = sorted(Path(__file__).parent.glob("*/pyproject.toml"))
sys.path[:0] = [str(project.parent) for project in PROJECTS]


@pytest.fixture(scope="module", autouse=True)
def _offered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For the tests of one file; what the host has read before and after is read again."""
    folder = tmp_path_factory.mktemp("site-packages")
    for project in PROJECTS:
        _lay_down(tomllib.loads(project.read_text(encoding="utf-8"))["project"], folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        _forget()
        yield
    _forget()


def _lay_down(project: dict[str, object], folder: Path) -> None:
    """The metadata of an installed distribution."""
    info = folder / f"{str(project['name']).replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    lines = [f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {each}" for each in project.get("dependencies", ())]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]), encoding="utf-8")
    points = project.get("entry-points", {}).get("arch_composer", {})
    text = "".join(f"{name} = {target}\n" for name, target in points.items())
    (info / "entry_points.txt").write_text(f"[arch_composer]\n{text}", encoding="utf-8")


def _forget() -> None:
    """Empty what the host remembers of plugins and of what they ship."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "composer":
            for value in vars(module).values():
                getattr(value, "cache_clear", lambda: None)()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test starts from the same random state."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
