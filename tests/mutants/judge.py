"""What may come out of a mutant: success, or one of our errors, soon and in little memory."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from composer.errors import ComposerError

MOST_SECONDS = 5
MOST_WAITED = 60
MOST_MEMORY = 1 << 30
MOST_TEXT = 300_000


class Finding(AssertionError):
    """A mutant that was met in a way no user should see."""


class Hang(BaseException):
    """Raised by the clock; no `except Exception` can swallow it."""


def outcome(work: Callable[[], Any]) -> str:
    """`fine`, or the code of the error that `work` ended in; anything else is a `Finding`."""
    begun = time.process_time()
    try:
        with clock():
            work()
    except ComposerError as error:
        found = checked(error)
    except Hang:
        raise Finding(f"took more than {MOST_SECONDS} seconds of the processor, or waited") from None
    except BaseException as error:
        raise Finding(f"{type(error).__name__}: {error}") from error
    else:
        found = "fine"
    if (seconds := time.process_time() - begun) > MOST_SECONDS:
        raise Finding(f"took {seconds:.1f} seconds of the processor")
    return found


def checked(error: ComposerError) -> str:
    """The code of an error whose every problem is a sentence that can be printed, and is data."""
    if not error.problems:
        raise Finding(f"a {type(error).__name__} without a problem")
    for problem in error.problems:
        if not re.fullmatch(r"E[0-9]{3}", problem.code) or not problem.message.strip():
            raise Finding(f"an error without a code or a sentence: {problem!r}")
    text = str(error)
    if len(text) > MOST_TEXT:
        raise Finding(f"a message of {len(text)} characters: {text[:500]}")
    if strange := {
        c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cs", "Cf", "Zl", "Zp")
    }:
        raise Finding(f"a message with characters that steer a terminal, {strange}: {text[:500]!r}")
    json.dumps(error.to_json(), allow_nan=False)
    return error.code


@contextmanager
def clock() -> Iterator[None]:
    """A `Hang` after so much processor time, or so much waiting."""

    def ring(signum: int, frame: Any) -> None:
        raise Hang

    before = [signal.signal(each, ring) for each in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, MOST_WAITED)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])


@contextmanager
def little_memory() -> Iterator[None]:
    """Let the process grow by no more than `MOST_MEMORY`, where the system can tell how large it is."""
    sizes = Path("/proc/self/statm")
    if not sizes.exists():
        yield
        return
    now = int(sizes.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def open_files() -> int:
    """How many files this process holds open, where the system can tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0
