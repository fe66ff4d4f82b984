"""Writes docs/faults.md: which check of the contract kit names which mistake first, and which ones none names."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from composer import Site  # noqa: E402
from composer.testing import contract_checks  # noqa: E402
from composer.testing.running import failure, settled  # noqa: E402
from tests.contract.faults import FAULTS, Fault  # noqa: E402

PAGE = DOCS / "faults.md"
SITE = Site(reads=12, writes=12, max_position_embeddings=256)
LAST = "compiling"
HEAD = """# What the contract kit catches

Written by `docs/make_faults.py`; `tests/contract/test_faults.py` holds it to the kit.

Five small blocks that keep the contract (attention in a window, a fading recurrence behind a short convolution, a
gated convolution, a gated feed-forward, a mixture of experts) were each given mistakes that authors make, one at a
time; they are in `tests/contract/faults`. Of {all} mistakes the kit names {caught}. The first check that does, in the
order of [Writing a block](writing-a-block.md), says most about the cause; the others fail because of it. `compiling`,
which takes longest, is tried where all others pass.

| in | mistake | first named by | also fail |
|---|---|---|---|
"""
LEFT = """
## What it does not catch

{count} of {all}, all of one kind: the block keeps every promise and computes something else than its author meant.
Only a reference implementation tells; compare with one.

"""
CHECKS = """
## Checks

How many mistakes each check is the first to name. One that named none would not be in the kit.

| check | mistakes |
|---|---:|
"""


def found(fault: Fault, checks: Iterable[str], all_of_them: bool = True) -> list[str]:
    """Which checks fail, in order; at most the first of them unless all are wanted."""
    random.seed(0)
    bench = settled(fault.block, SITE)
    failed: list[str] = []
    for name in checks:
        if (name != LAST or not failed) and (all_of_them or not failed) and failure(bench, name):
            failed.append(name)
    return failed


def row(fault: Fault, failed: list[str]) -> str:
    """One line of the table."""
    first, *more = failed
    return f"| {fault.base} | {fault.says} | `{first}` | {listed(more)} |\n"


def listed(names: list[str]) -> str:
    """The names, or where they are most of all, those that are missing."""
    others = [name for name in contract_checks() if name not in names]
    shown = " ".join(f"`{name}`" for name in min(names, others, key=len))
    return f"all but {shown}" if len(others) < len(names) else shown


def page(results: list[tuple[Fault, list[str]]]) -> str:
    """The whole page, from what failed for each mistake."""
    caught = [(fault, failed) for fault, failed in results if failed]
    missed = [fault for fault, failed in results if not failed]
    firsts = Counter(failed[0] for _, failed in caught)
    return "".join(
        [
            HEAD.format(all=len(results), caught=len(caught)),
            *(row(fault, failed) for fault, failed in caught),
            LEFT.format(count=len(missed), all=len(results)),
            *(f"- {fault.base}: {fault.says}\n" for fault in missed),
            CHECKS,
            *(f"| `{name}` | {firsts[name]} |\n" for name in contract_checks()),
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page([(fault, found(fault, contract_checks())) for fault in FAULTS]), encoding="utf-8")
