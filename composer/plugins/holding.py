"""How code of a plugin is run: what it prints, raises or takes too long for stays its own."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from typing import Any, TextIO, cast

from ..errors import PluginError, Problem
from .problems import described, first_line
from .timing import TIMEOUT, TimeLimitError, time_limit

REPORT = "this is a fault of the plugin; report it to its authors"


@contextmanager
def held(
    who: str,
    doing: str,
    seconds: float,
    code: str = "E410",
    hint: str = REPORT,
    path: str = "",
    passes: tuple[type[BaseException], ...] = (),
) -> Iterator[None]:
    """Run code of a plugin within: what it raises becomes a PluginError that names it, with the cause.

    `who` and `doing` say whose code and which; `passes` are errors that mean something to the caller.  An
    interrupt of the user goes through, with a note that says what was running.
    """
    try:
        with quiet(), time_limit(seconds, f"{who}: {doing}"):
            yield
    except KeyboardInterrupt as error:
        error.add_note(f"{who}: {doing} was running")
        raise
    except TimeLimitError as error:
        told = f"set {TIMEOUT} to more seconds, or to 0 for no limit, if it needs them"
        raise PluginError(Problem("E419", f"{who}: {doing} {first_line(error)}", None, path, told)) from error
    except passes:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        raise PluginError(
            Problem(code, f"{who}: {doing} failed: {described(error)}", None, path, hint)
        ) from error


class Talk:
    """What stands in for stdout while a plugin describes: stderr, which stays open whatever is done to this."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr or StringIO(), name)  # a program without a window has none

    def close(self) -> None:
        """Nothing: the stream is the user's."""


@contextmanager
def quiet() -> Iterator[None]:
    """What is printed within goes to stderr: stdout is for data."""
    if threading.current_thread() is not threading.main_thread():
        yield  # there is one stdout for all threads
        return
    with redirect_stdout(cast(TextIO, Talk())):
        yield


@contextmanager
def quiet_processes() -> Iterator[None]:
    """The same for what writes to descriptor 1 itself, such as a program that is started within."""
    with ExitStack() as undo:
        if threading.current_thread() is threading.main_thread():
            try:
                kept = os.dup(1)
                undo.callback(os.close, kept)
                os.dup2(2, 1)
                undo.callback(os.dup2, kept, 1)
            except OSError:  # one of the two is closed
                pass
        yield
