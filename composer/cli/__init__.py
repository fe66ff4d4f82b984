"""The command line: one verb a module, loaded when it is called.  No module here imports torch at the top.

Data goes to stdout and talk to stderr.  Exit codes: 0 fine, 1 what was checked is wrong or the work failed, 2
wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (by default this process's) and return its exit code."""
    try:
        from composer.cli.run import run

        return run(arguments)
    except KeyboardInterrupt:  # also while modules are loaded
        print("interrupted", file=sys.stderr)
        return 130
