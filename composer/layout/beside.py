"""The files of a folder of families, which may include one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..source import Document, read_file


class Beside(Mapping[str, Document]):
    """The files of folders by their names without ending, of which the last wins; each read when it is asked for."""

    def __init__(self, *folders: Path) -> None:
        self.paths = {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}
        self._read: dict[str, Document] = {}

    def __getitem__(self, name: str) -> Document:
        if name not in self._read:
            self._read[name] = read_file(self.paths[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)
