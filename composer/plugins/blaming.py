"""Whose code an error came out of, told from its traceback: where nothing is caught on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FrameType

from ..errors import Problem
from .gathering import source_of_module
from .holding import REPORT
from .problems import described


def blamed(error: BaseException) -> Problem | None:
    """The problem to tell of an error that was raised in code of a plugin, or below it; None of any other."""
    for frame in reversed([*frames(error)]):
        source = source_of_module(frame.f_globals.get("__name__", ""))
        if source:
            message = f"{source.called}: {name_of(frame.f_code)}() failed: {described(error)}"
            return Problem("E422", message, path=source.name, hint=hint_of(error))
    return None


def frames(error: BaseException) -> Iterator[FrameType]:
    """The calls that an error came through, outermost first."""
    trace = error.__traceback__
    while trace:
        yield trace.tb_frame
        trace = trace.tb_next


def name_of(code: CodeType) -> str:
    """A function by its name, with the class that it is in."""
    return code.co_qualname.replace(".<locals>", "")


def hint_of(error: BaseException) -> str:
    """Where in a model it was, as notes of the error tell, and whom to ask."""
    return "; ".join([*getattr(error, "__notes__", ()), REPORT])
