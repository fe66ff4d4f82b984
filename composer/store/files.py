"""Files that come from outside: names are checked before they are joined, only regular files are opened."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import WeightsError, fail

T = TypeVar("T")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\:]")


def contained(name: str) -> bool:
    """Whether `name` can only mean a file inside the folder it is joined to, on any system.

    The check is lexical: symbolic links inside a folder that the user chose are followed on purpose, since
    hub caches are made of them.
    """
    parts = name.split("/")
    return (
        len(name) <= 1024 and not _UNSAFE.search(name) and not any(part.strip(" .") == "" for part in parts)
    )


def present(path: Path) -> bool:
    """Whether anything has that name; a dangling link has, and is named when it is opened."""
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def open_regular(path: Path) -> int:
    """A descriptor of the regular file `path`, read-only; a pipe or a device is refused and never waited for.

    Raises `WeightsError` E502.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        fail(WeightsError, "E502", f"{path} cannot be read: {reason(error)}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        fail(WeightsError, "E502", f"{path} cannot be read: it is not a regular file")
    return descriptor


def read_small(path: Path, most: int = 32 << 20) -> bytes:
    """The bytes of a small regular file.  Raises `WeightsError` E502, also beyond `most` bytes."""
    with os.fdopen(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            fail(
                WeightsError,
                "E502",
                f"{path} cannot be read: it has {size} bytes, more than the {most} allowed",
            )
        try:
            return file.read(most)
        except OSError as error:
            fail(WeightsError, "E502", f"{path} cannot be read: {reason(error)}")


def reason(error: BaseException) -> str:
    """What the system said, without its numbers and the name again."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def one_version(folder: Path, read: Callable[[], T]) -> T:
    """What `read` makes of a folder, all of it from one version even while another process replaces the folder.

    Raises `WeightsError` E502 when the folder never stays long enough, and what `read` raises.
    """
    for _ in range(5):
        before = _identity(folder)
        try:
            found = read()
        except WeightsError:
            if _identity(folder) == before:
                raise
        else:
            if _identity(folder) == before:
                return found
    fail(WeightsError, "E502", f"{folder} cannot be read: it is replaced again and again")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
