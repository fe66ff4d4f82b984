"""Local files: one Python file that is a plugin, named by its path and never found by an import statement."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from zlib import crc32


@dataclass(frozen=True)
class LocalFile:
    """A plugin in one file, by path, as it was when it was last written; without a stamp it is not there."""

    path: Path
    stamp: tuple[int, int] | None

    @property
    def module(self) -> str:
        """A name for its module that no other has."""
        return f"composer_local_{crc32(os.fsencode(self.path)):08x}_{self.path.stem}"

    def load(self) -> ModuleType:
        """Its module, run once for every state of the file."""
        if self not in _loaded:
            _loaded[self] = run(self)
        return _loaded[self]


_loaded: dict[LocalFile, ModuleType] = {}


class Fresh(SourceFileLoader):
    """Compiles the file itself: compiled files tell seconds apart, and an editor is faster."""

    def get_code(self, fullname: str) -> CodeType:
        """The file, compiled now."""
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def local_file(path: str | os.PathLike[str]) -> LocalFile:
    """The file at a path, which need not be there; a change of the file makes it another one."""
    absolute = Path(os.path.abspath(path))
    try:
        status = absolute.stat()
    except (OSError, ValueError):
        return LocalFile(absolute, None)
    return LocalFile(absolute, (status.st_mtime_ns, status.st_size))


def run(file: LocalFile) -> ModuleType:
    """Run a file as a module of its own."""
    if file.path.suffix != ".py":
        raise ImportError("it is no Python file")
    spec = spec_from_file_location(file.module, file.path, loader=Fresh(file.module, str(file.path)))
    assert spec is not None, "a loader is given"
    assert spec.loader is not None, "a loader is given"
    before = sys.modules.get(file.module)
    module = sys.modules[file.module] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[file.module]
        if before is not None:
            sys.modules[file.module] = before
        raise
    return module
