"""Checks run on a block, and what came of each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from composer.block import Block, Site
from composer.errors import PluginError, Problem, fail

from .bench import Bench, first_line
from .checks import BASIS, CHECKS, SIMPLER, basis_of, chosen
from .findings import said
from .hints import hint
from .places import raised_at
from .shrinking import shrunk

SITE = Site(reads=32, writes=32, max_position_embeddings=256)
"""Where a block stands when a test does not say: narrow enough to be quick."""

Result = Literal["passed", "failed", "expected", "unexpected"]


@dataclass(frozen=True)
class Outcome:
    """What came of one check of one block.

    `expected` failed with a reason given beforehand, which is then the message; `unexpected` passed in spite
    of one, which is a failure too.  `counterexample` is the smallest case that was found to fail, a few lines.
    `cause` is what the block's own code raised, with its traceback.
    """

    check: str
    block: Block
    site: Site
    result: Result
    message: str = ""
    counterexample: str | None = None
    hint: str | None = None
    seconds: float = 0.0
    cause: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def good(self) -> bool:
        """Whether the contract holds as far as this check sees, or is known not to."""
        return self.result in ("passed", "expected")

    @property
    def problem(self) -> Problem:
        """What failed, as an error says it: a sentence, and the counterexample in lines of its own."""
        kept = "does not fail" if self.result == "unexpected" else "fails"
        lines = [f"block {self.block.kind!r} {kept} {self.check!r}: {self.message}"]
        lines += [f"   {line}" for line in (self.counterexample or "").splitlines()]
        return Problem("E411", "\n".join(lines), path=self.check, hint=self.hint or "")

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "check": self.check,
            "kind": self.block.kind,
            "options": self.block.model_dump(mode="json"),
            "site": self.site.model_dump(mode="json"),
            "result": self.result,
            "message": self.message,
            "counterexample": self.counterexample,
            "hint": self.hint,
            "seconds": round(self.seconds, 3),
        }


class ContractError(PluginError, AssertionError):
    """A block that is not what it declares; one problem for every check that failed."""


def run_checks(
    block: Block,
    site: Site | None = None,
    checks: Iterable[str] | None = None,
    expected: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """What comes of each check of a block at a site, of all checks unless told otherwise, in their order.

    `expected` maps a check that is known to fail to the reason why.  Nothing that the block does wrong is
    raised; PluginError is, for a name that is no check, a reason that is empty, and a site where the block
    cannot stand.
    """
    reasons = reasoned(expected or {})
    bench = settled(block, site or SITE)
    return [outcome(bench, name, reasons.get(name)) for name in chosen(checks)]


def check_block(
    block: Block,
    site: Site | None = None,
    checks: Iterable[str] | None = None,
    expected: Mapping[str, str] | None = None,
) -> None:
    """Hold a block to its declaration, at a site and by all checks unless told otherwise.

    Raises ContractError with one problem for each check that failed, all at once; if the parameters, the
    shape of the output or the memory are not as declared, with that alone, since the rest stands on them.
    Its cause is what the block raised, if it did.  Raises PluginError as `run_checks` does.
    """
    bad = [each for each in run_checks(block, site, checks, expected) if not each.good]
    if bad:
        basis = [each for each in run_checks(block, site, BASIS, expected) if not each.good]
        told = basis[:1] or bad
        raise ContractError(*(each.problem for each in told)) from told[0].cause


def reasoned(expected: Mapping[str, str]) -> Mapping[str, str]:
    """Failures that are expected, each of a check that exists and with a reason."""
    for name in chosen(expected):
        if not str(expected[name] or "").strip():
            message = f"{name!r} is expected to fail, but nothing says why"
            hint = "write the reason: it stands beside the result wherever that is shown"
            fail(PluginError, "E414", message, path="expected", hint=hint)
    return expected


def settled(block: Block, site: Site) -> Bench:
    """The block at its place."""
    try:
        return Bench(block.settle(site), site)
    except Exception as error:  # whatever a stranger's code raises
        message = f"block {block.kind!r} cannot stand at {site!r}: {first_line(error)}"
        hint = "give a site that fits: check_block(block, site)"
        fail(PluginError, "E412", message, path="settle", hint=hint)


def outcome(bench: Bench, name: str, reason: str | None) -> Outcome:
    """What comes of one check."""
    start = time.perf_counter()
    error = failure(bench, name)
    made = Outcome(name, bench.block, bench.site, "passed", seconds=time.perf_counter() - start)
    if reason:
        passed = f"it was expected to, because {reason}"
        return replace(
            made, result="expected" if error else "unexpected", message=reason if error else passed
        )
    if error is None:
        return made
    cause, where = raised_at(error, type(bench.block))
    return explained(replace(made, result="failed", message=said(error) + where, cause=cause), bench, error)


def explained(outcome: Outcome, bench: Bench, error: BaseException) -> Outcome:
    """With the smallest counterexample and the likely cause; what stands on something broken says that instead."""
    name = outcome.check
    basis = broken_of(bench, basis_of(name))
    if basis:
        return replace(outcome, hint=f"mend {basis!r} first, on which this stands")
    small = shrunk(bench, CHECKS[name], error)
    simpler = simplest(bench, name)
    usual = hint(name, small.bench, said(small.error))
    cause = f"{simpler!r} fails too and asks for less: mend that first" if simpler else usual
    return replace(outcome, counterexample=str(small), hint=cause)


def simplest(bench: Bench, name: str) -> str | None:
    """The check that fails as well and asks for least, so that its own hint names no other one."""
    found = broken_of(bench, SIMPLER.get(name, ()))
    return found and (simplest(bench, found) or found)


def broken_of(bench: Bench, names: Iterable[str]) -> str | None:
    """The first of some checks that fails."""
    return next((name for name in names if failure(bench, name)), None)


def failure(bench: Bench, name: str) -> BaseException | None:
    """What a check found; whatever a block raises on the way is a finding too."""
    try:
        CHECKS[name](bench)
    except (Exception, SystemExit) as error:
        return error
    return None
