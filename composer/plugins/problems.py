"""How the fault of a plugin is told: by its name, the distribution it came with, and what it did."""

from __future__ import annotations

from ..errors import PluginError, Problem
from .sources import Source


def problem(source: Source, code: str, message: str, hint: str = "") -> Problem:
    """A problem that names the plugin and where it is from."""
    return Problem(code, f"{source.called}: {message}", path=source.name, hint=hint)


def refused(source: Source, code: str, message: str, hint: str = "") -> PluginError:
    """An error that names the plugin and where it is from."""
    return PluginError(problem(source, code, message, hint))


def first_line(error: BaseException) -> str:
    """The first line of an error's text, if it has any."""
    try:
        return str(error).strip().splitlines()[0]
    except Exception:  # a plugin's own error may fail to say what it is
        return "no message"


def described(error: BaseException) -> str:
    """An error in a line: its class and what it says."""
    return f"{type(error).__name__}: {first_line(error)}"
