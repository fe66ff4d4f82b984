"""The data that comes with the package: specs, family files and the embedded model."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def specs_folder() -> Path:
    """The folder of shipped specs: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "_specs"
    return inside if inside.is_dir() else package.parent / "specs"


def shipped_specs() -> list[str]:
    """Names of the shipped specs, sorted."""
    return sorted(path.stem for path in specs_folder().glob("*.yaml"))
