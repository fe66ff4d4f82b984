"""Where in a local file something is wrong, for those who are about to mend it."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path

from ..errors import Place


def place_in(file: Path, error: BaseException) -> Place | None:
    """Where its syntax is wrong, or the innermost call of the error that stands in the file; None if none does."""
    name = str(file)
    if isinstance(error, SyntaxError) and error.filename == name and error.lineno:
        start, end = error.offset or 1, error.end_offset or 0
        width = end - start if error.end_lineno in (None, error.lineno) else 1
        return Place(name, error.lineno, start, max(1, width), (error.text or "").rstrip("\n"))
    own = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == name]
    return place_of(own[-1]) if own else None


def place_of(frame: traceback.FrameSummary) -> Place | None:
    """The stretch of a line that a call was in; columns of a frame count bytes."""
    if frame.lineno is None:
        return None
    linecache.checkcache(frame.filename)
    text = linecache.getline(frame.filename, frame.lineno).rstrip("\n")
    begin, end = (characters(text, count) for count in (frame.colno or 0, frame.end_colno or 0))
    width = end - begin if frame.end_lineno == frame.lineno else len(text) - begin
    return Place(frame.filename, frame.lineno, begin + 1, max(1, width), text)


def characters(text: str, count: int) -> int:
    """How many characters so many bytes of a line are."""
    return len(text.encode()[:count].decode(errors="replace"))
