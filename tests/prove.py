"""Full counts: with COMPOSER_PROVE=1 tests draw more cases and write what they found to docs/prove.md.

A row is one claim: how many cases were tried, the worst figure among them, the limit it had to keep, and
whether it did. A later run replaces the rows it measures again and leaves the others.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

FULL = os.environ.get("COMPOSER_PROVE") == "1"
TABLE = Path(__file__).parents[1] / "docs" / "prove.md"
HEADER = """# What was proved

Written by `python3 bootstrap.py prove`. A figure without a unit is a ratio to its limit's yardstick.

| claim | cases | worst | limit | verdict |
|---|---:|---:|---:|---|
"""


@dataclass
class Row:
    """What is known of one claim so far in this run."""

    cases: int = 0
    worst: float = 0.0
    limit: float = 0.0

    def __str__(self) -> str:
        verdict = "holds" if self.worst <= self.limit else "FAILS"
        return f"{self.cases} | {self.worst:.4g} | {self.limit:.4g} | {verdict}"


_ROWS: dict[str, Row] = {}


def cases(sample: int, full: int) -> int:
    """How many cases to draw: a sample in the normal suite, all of them when proving."""
    return full if FULL else sample


def at_most(claim: str, figure: float, limit: float, count: int = 1) -> None:
    """Note `figure` under `claim`, and fail if it is above `limit` (or is no number)."""
    row = _ROWS.setdefault(claim, Row())
    row.cases += count
    row.worst = max(row.worst, figure) if figure == figure else float("inf")
    row.limit = max(row.limit, limit)
    if FULL:
        write(claim, row)
    assert figure <= limit, f"{claim}: {figure:.4g} is above {limit:.4g}"


def counted(claim: str, count: int = 1) -> None:
    """Note cases of a claim whose test either passes or fails, without a figure."""
    at_most(claim, 0, 0, count)


def write(claim: str, row: Row, table: Path = TABLE) -> None:
    """Put one row into the table, in place of an older one for the same claim."""
    text = table.read_text(encoding="utf-8") if table.exists() else HEADER
    line = f"| {claim} | {row} |\n"
    old = re.compile(rf"^\| {re.escape(claim)} \|.*\n", re.MULTILINE)
    text = old.sub(lambda _: line, text) if old.search(text) else text + line
    table.parent.mkdir(exist_ok=True)
    # Replaced in one step: another run may be reading.
    new = table.with_name(f"{table.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(table)
