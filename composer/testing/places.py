"""Where in a block's own code a check went wrong, for those who are about to mend it."""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Iterator
from traceback import FrameSummary

from composer.block import Block

from .findings import Broken, Found, root


def raised_at(error: BaseException, kind: type[Block]) -> tuple[BaseException | None, str]:
    """What code of a block raised, and its innermost line there as `, at block.py:7: x.view(3)`.

    Nothing for what a check found by itself.
    """
    cause = error.cause if isinstance(error, Found) else root(error)
    own = [] if isinstance(cause, Broken) else list(lines(cause, kind))
    return (cause, f", at {pointed(own[-1])}") if own else (None, "")


def lines(error: BaseException, kind: type[Block]) -> Iterator[FrameSummary]:
    """The calls that an error came through which stand in the package, or the file, that a block is from."""
    home = package_of(kind.__module__)
    for frame, number in traceback.walk_tb(error.__traceback__):
        if package_of(frame.f_globals.get("__name__", "")) == home:
            yield FrameSummary(frame.f_code.co_filename, number, frame.f_code.co_name, lookup_line=False)


def package_of(module: str) -> str:
    """The package of a module, or the module itself where it stands in none."""
    return module.rpartition(".")[0] or module


def pointed(line: FrameSummary) -> str:
    """File, line and code; the file as seen from the working directory where it is below that."""
    near = os.path.relpath(line.filename)
    linecache.checkcache(line.filename)
    code = linecache.getline(line.filename, line.lineno or 0).strip()
    return f"{line.filename if near.startswith(os.pardir) else near}:{line.lineno}: {code}".removesuffix(": ")
