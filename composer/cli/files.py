"""Text into files, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping


def replace_text(file: str, text: str) -> None:
    """Put a text in the place of a file at once, whatever happens; its mode stays, and a link still leads to it."""
    path = os.path.realpath(file)
    with fresh(path, text) as written:
        shutil.copymode(path, written)
        os.replace(written, path)


def create_text(file: str, text: str) -> None:
    """Put a text into a new file at once.  Raises FileExistsError if there is one, or a link, or a folder."""
    with fresh(file, text) as written:
        os.chmod(written, 0o666 & ~umask())
        try:
            os.link(written, file)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(file):
                raise FileExistsError(file) from None
            os.replace(written, file)


@contextlib.contextmanager
def fresh(path: str, text: str) -> Iterator[str]:
    """A file beside `path` that holds the text, safe on the disk; it is gone afterwards if it is still there."""
    handle, written = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path) or ".")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        yield written
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(written)


def umask() -> int:
    """The mask of modes for new files, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def create_folder(folder: str, files: Mapping[str, str]) -> None:
    """Put texts into a new folder, by their paths in it, all or none.  Raises FileExistsError if it is there."""
    parent, name = os.path.split(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    made = tempfile.mkdtemp(prefix=f".{name}.", dir=parent)
    try:
        for path, text in files.items():
            target = os.path.join(made, *path.split("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            create_text(target, text)
        os.chmod(made, 0o777 & ~umask())
        if os.path.lexists(folder):
            raise FileExistsError(folder)
        os.rename(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
