"""A limit of time for code of plugins, so that one that hangs is named."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from ..errors import PluginError, fail

TIMEOUT = "COMPOSER_PLUGIN_TIMEOUT"
AGAIN, MOST_SWALLOWED = 0.5, 3
IMPORT, FUNCTION = 60.0, 10.0
"""Seconds that an import or a hook, and a function of a block, may take where the environment says nothing."""


class TimeLimitError(BaseException):
    """Raised inside code that takes longer than it may; no `except Exception` of that code swallows it."""


def allowed(default: float) -> float:
    """Seconds by COMPOSER_PLUGIN_TIMEOUT, or the default; 0 sets no limit.  Raises PluginError E416."""
    text = os.environ.get(TIMEOUT)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        hint = "write seconds, as in 30; 0 sets no limit"
        fail(PluginError, "E416", f"{TIMEOUT} is {text!r}, which is no time", path=TIMEOUT, hint=hint)
    return seconds


def can_limit() -> bool:
    """Whether this thread of this system can be interrupted after a time."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def time_limit(seconds: float, what: str = "it") -> Iterator[None]:
    """Raise TimeLimitError in the block within once it has run for so long, where that can be done.

    A limit that is set already holds where it comes first, and goes on afterwards; nothing is raised while a
    debugger traces.  Of code that swallows the error it is said that `what` does not stop.
    """
    if not seconds or not can_limit():
        yield
        return
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    if 0 < left <= seconds:
        yield
        return
    began, inside, rung = monotonic(), True, 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal rung
        rung += 1
        if rung == MOST_SWALLOWED:
            print(f"{what} does not stop, whatever it is told; end this process", file=sys.stderr, flush=True)
        if inside and sys.gettrace() is None:
            raise TimeLimitError(f"took longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)  # the first may be swallowed
    try:
        try:
            yield
        finally:
            inside = False
    finally:  # also when the last alarm came on the way out
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (monotonic() - began), 1e-3), interval)
