"""Text files under a folder, in an order that every machine agrees on, split by a hash of their path."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from composer.errors import UsageError, fail

EXTENSIONS = (".txt", ".md", ".rst", ".py")


@dataclass(frozen=True)
class Document:
    """One file: its path relative to the corpus folder (with `/`), and where it lies."""

    name: str
    path: Path

    def read(self) -> str:
        """The whole text, line ends as they stand in the file; E957 if it is not UTF-8."""
        try:
            return self.path.read_bytes().decode("utf-8")
        except (UnicodeDecodeError, OSError) as error:
            fail(
                UsageError,
                "E957",
                f"{self.name} cannot be read as UTF-8 text ({error})",
                hint="convert it, move it away, or narrow the extensions",
            )

    def held_out(self, percent: int) -> bool:
        """Whether this file is kept for evaluation: a property of its name alone, for ever."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()
        return int(digest[:8], 16) % 100 < percent


def find_documents(folder: Path, extensions: Iterable[str] = EXTENSIONS) -> list[Document]:
    """The files under `folder` with one of `extensions`, sorted by relative path.

    Hidden files and folders are passed over and links to folders are not followed, so that a corpus never
    contains itself. E951 if nothing is left.
    """
    wanted = tuple(extensions)
    if not folder.is_dir():
        fail(UsageError, "E951", f"there is no folder {str(folder)!r} to read text from")
    names = sorted(name for name in _walk(folder) if name.endswith(wanted))
    if not names:
        fail(
            UsageError,
            "E951",
            f"no file under {str(folder)!r} ends in {', '.join(wanted)}",
            hint="name other extensions, or another folder",
        )
    return [Document(name, folder / name) for name in names]


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(parent).relative_to(folder)
        yield from ((inside / name).as_posix() for name in files if not name.startswith("."))


def split(documents: Iterable[Document], percent: int) -> tuple[list[Document], list[Document]]:
    """(training, held out), each in the given order."""
    kept = list(documents)
    return [d for d in kept if not d.held_out(percent)], [d for d in kept if d.held_out(percent)]


def digest(documents: Iterable[Document]) -> str:
    """SHA-256 over names and contents: two corpora with one digest are the same text."""
    total = hashlib.sha256()
    for document in documents:
        content = hashlib.sha256(document.path.read_bytes()).digest()
        total.update(document.name.encode() + b"\0" + content)
    return total.hexdigest()
