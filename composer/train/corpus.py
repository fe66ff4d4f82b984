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

    def pieces(self, size: int = 1 << 20) -> Iterator[str]:
        """The text in pieces of about `size` characters that end at line ends, the line ends as they stand.

        E957 if the file is not UTF-8.
        """
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                while piece := file.read(size):
                    yield piece + file.readline(size)
        except (UnicodeDecodeError, OSError) as error:
            fail(
                UsageError,
                "E957",
                f"{self.name} cannot be read as UTF-8 text ({error})",
                hint="convert it, move it away, or narrow the extensions",
            )

    def read(self) -> str:
        """The whole text."""
        return "".join(self.pieces())

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
    """(training, held out), each in the given order; nothing is held out where nothing else would be left."""
    kept = list(documents)
    training = [d for d in kept if not d.held_out(percent)]
    return (training, [d for d in kept if d.held_out(percent)]) if training else (kept, [])


def digest(documents: Iterable[Document]) -> str:
    """SHA-256 over names and contents: two corpora with one digest are the same text."""
    total = hashlib.sha256()
    for document in documents:
        with document.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        total.update(document.name.encode() + b"\0" + content)
    return total.hexdigest()
