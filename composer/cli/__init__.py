"""The command line: one verb a module, loaded when it is called.  No module here imports torch at the top.

Data goes to stdout and talk to stderr.  Exit codes: 0 fine, 1 what was checked is wrong or the work failed, 2
wrong usage, 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (by default this process's) and return its exit code."""
    collecting = gc.isenabled()
    gc.disable()  # loading modules makes many objects and no garbage; verbs that work on tensors turn it on
    try:
        from composer.cli.run import run

        return run(arguments)
    except KeyboardInterrupt as interrupt:  # also while modules are loaded
        notes = getattr(interrupt, "__notes__", ())  # such as the plugin whose code was running
        print("interrupted", *notes, sep="\n   ", file=sys.stderr)
        return 130
    finally:
        if collecting:
            gc.enable()
