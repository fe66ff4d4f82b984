"""Text of a file that somebody named: bounded, regular, UTF-8. Never hangs on a pipe or a device."""

from __future__ import annotations

import os
import stat

from composer.errors import Place, Problem, SpecError, fail
from composer.source.document import Document, Lines
from composer.source.reader import MAX_CHARACTERS, read_document

# A FIFO without a writer would block open() for ever.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_file(path: str | os.PathLike[str]) -> Document:
    """Read one YAML file of at most 1 MiB of UTF-8. Raises SpecError."""
    name = os.fspath(path)
    return read_document(_text(_bytes(name), name), name)


def _bytes(name: str) -> bytes:
    try:
        if "\0" in name:
            raise ValueError("embedded null byte")  # Python's own words for it differ by version
        handle = os.open(name, _FLAGS)
        try:
            data = _bounded(handle)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fail(SpecError, "E101", f"cannot read {name}: {reason}")
    if len(data) > MAX_CHARACTERS:
        fail(SpecError, "E102", f"{name} is larger than 1 MiB")
    return data


def _bounded(handle: int) -> bytes:
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        raise ValueError("it is a folder" if stat.S_ISDIR(kind) else "it is not a regular file")
    data = b""
    while len(data) <= MAX_CHARACTERS and (more := os.read(handle, MAX_CHARACTERS)):
        data += more
    return data


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        place = _place(error.object[: error.start], name)
        hint = "save the file as UTF-8"
        raise SpecError(Problem("E103", f"byte 0x{byte:02x} is not UTF-8", place, hint=hint)) from None


def _place(before: bytes, name: str) -> Place:
    text = before.decode("utf-8").removeprefix("\ufeff")
    return Lines(text, name).place(len(text), len(text) + 1)
