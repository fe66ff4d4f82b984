"""The data that comes with the package and with plugins: specs, family files and the embedded model."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import PluginError, UsageError, fail
from .plugins import catalog
from .plugins.data import by_name, clash, files, specs_folder

__all__ = ["checkpoint_folder", "shipped_specs", "shipped_weights", "spec_file", "specs_folder"]


def shipped_specs() -> list[str]:
    """Names of the shipped specs, those of plugins among them, sorted."""
    return sorted(by_name(files(catalog(), "specs")))


def spec_file(name: str | os.PathLike[str]) -> Path | None:
    """The file of the spec that is shipped under a name; None if none is.

    Raises PluginError E420 where several are.
    """
    found = by_name(files(catalog(), "specs")).get(os.fspath(name), [])
    if len(found) > 1:
        raise PluginError(clash("spec", os.fspath(name), found))
    return found[0].path if found else None


def shipped_weights(name: str | os.PathLike[str]) -> Path | None:
    """The checkpoint folder that is shipped under a name beside its spec; None if there is none."""
    file = spec_file(name)
    return file.with_suffix("") if file and file.with_suffix("").is_dir() else None


def checkpoint_folder(what: str | os.PathLike[str]) -> Path:
    """The folder that `what` names: itself, or the weights that are shipped under this name.

    What is nowhere is given back as it is.  Raises UsageError E906 for a spec, which has no weights.
    """
    here = Path(what)
    if os.path.isdir(here):
        return here
    if folder := shipped_weights(what):
        return folder
    if spec_file(what) or (here.suffix in (".yaml", ".yml") and os.path.isfile(here)):
        hint = "give a checkpoint folder: downloaded, or the folder `checkpoint` of a training run"
        fail(UsageError, "E906", f"{what} is a spec, and a spec has no weights", hint=hint)
    return here
