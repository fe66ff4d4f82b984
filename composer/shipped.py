"""The data that comes with the package: specs, family files and the embedded model."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from .errors import UsageError, fail


@cache
def specs_folder() -> Path:
    """The folder of shipped specs: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "_specs"
    return inside if inside.is_dir() else package.parent / "specs"


def shipped_specs() -> list[str]:
    """Names of the shipped specs, sorted."""
    return sorted(path.stem for path in specs_folder().glob("*.yaml"))


def checkpoint_folder(what: str | os.PathLike[str]) -> Path:
    """The folder that `what` names: itself, or the weights that are shipped under this name.

    What is nowhere is given back as it is.  Raises UsageError E906 for a spec, which has no weights.
    """
    here, shipped = Path(what), specs_folder() / what
    if os.path.isdir(here):
        return here
    if str(what) in shipped_specs() and os.path.isdir(shipped):
        return shipped
    if str(what) in shipped_specs() or (here.suffix in (".yaml", ".yml") and os.path.isfile(here)):
        hint = "give a checkpoint folder: downloaded, or the folder `checkpoint` of a training run"
        fail(UsageError, "E906", f"{what} is a spec, and a spec has no weights", hint=hint)
    return here
