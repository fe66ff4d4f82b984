"""What verification found, a row a claim: compared what, how far apart, how far allowed, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from composer.describe.report import table
from composer.errors import printable

Verdict = Literal["ok", "WRONG", "not checked"]


@dataclass(frozen=True)
class Row:
    """One claim.  `difference` and `allowed` are in `unit`; both are None where nothing was compared."""

    check: str
    compared: str
    verdict: Verdict
    why: str = ""
    difference: float | None = None
    allowed: float | None = None
    unit: str = ""


def judged(
    check: str, compared: str, difference: float, allowed: float, unit: str = "of the largest", why: str = ""
) -> Row:
    """A row whose verdict follows from its figures; a difference that is no number is wrong."""
    right = difference <= allowed
    return Row(check, compared, "ok" if right else "WRONG", "" if right else why, difference, allowed, unit)


def counted(check: str, compared: str, wrong: Iterable[str]) -> Row:
    """A row of things of which none may be wrong; the first of them are named."""
    found = list(wrong)
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return judged(check, compared, len(found), 0, "wrong", "; ".join(found[:3]) + more)


def unchecked(check: str, compared: str, why: str) -> Row:
    """A row of what could not be looked at, which is no pass."""
    return Row(check, compared, "not checked", why)


@dataclass(frozen=True)
class Verification:
    """All rows, and what they are about: where the weights come from and how it was computed."""

    name: str
    weights: str
    how: Mapping[str, Any]
    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def count(self, verdict: Verdict) -> int:
        """Rows with this verdict."""
        return sum(row.verdict == verdict for row in self.rows)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and something was checked."""
        return not self.count("WRONG") and self.count("ok") > 0

    def to_json(self) -> dict[str, Any]:
        """Plain data; a difference that is no finite number is text."""
        rows = [{**asdict(row), "difference": finite(row.difference)} for row in self.rows]
        return {"name": self.name, "weights": self.weights, **self.how, "ok": self.ok, "checks": rows}

    def __str__(self) -> str:
        lines = table(
            ("check", "compared", "difference", "allowed", "verdict"), "<<>><", map(cells, self.rows)
        )
        return "\n".join([*self.heading(), "", *lines, "", self.summary()])

    def heading(self) -> Iterator[str]:
        """What was compared and how, in two lines."""
        h = self.how
        yield f"{printable(self.name)}: {self.weights}"
        yield (
            f"computed and compared in {h['dtype']} on the CPU: {h['tokens']:,} tokens a row, ids and splits "
            f"drawn with seed {h['seed']}; differences are parts of the largest value"
        )

    def summary(self) -> str:
        """How many of each verdict."""
        told = [f"{self.count('ok')} ok", f"{self.count('WRONG')} wrong"]
        return ", ".join([*told, f"{self.count('not checked')} not checked"])


def cells(row: Row) -> tuple[str, ...]:
    """A row for people."""
    verdict = f"{row.verdict}: {row.why}" if row.why else row.verdict
    return row.check, row.compared, figure(row.difference), figure(row.allowed), verdict


def figure(value: float | None) -> str:
    """A count as it is, a part with two digits, nothing as a dash."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2g}"


def finite(value: float | None) -> float | str | None:
    """A number that JSON can hold."""
    return value if value is None or abs(value) < float("inf") else str(value)
