"""Checks as parameters of a pytest test; pytest is imported when this is used, and not before."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from composer.block import Block, Site
from composer.errors import PluginError, fail

from .checks import CHECKS
from .running import ContractError, check_block, reasoned
from .shrinking import described

Sample = Block | tuple[Block, Site]
Samples = type[Block] | Iterable[Sample]


@dataclass(frozen=True)
class Held:
    """One check of one block, to be called: by itself, or with the block as other checks of a test are."""

    name: str
    block: Block
    site: Site | None = None

    def __call__(self, block: Block | None = None) -> None:
        """Raise ContractError unless the block passes."""
        check_block(block or self.block, self.site, [self.name])

    def __repr__(self) -> str:
        return f"{self.name} of {described(self.block)}"


def parametrize_with_checks(
    samples: Samples, expected: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a pytest test once for every check of every sample; it takes `(block, check)`, or `check` alone.

        @parametrize_with_checks(Echo)
        def test_echo(block, check):
            check(block)

    `samples` are blocks, pairs of a block and its site, or a class of blocks, which knows samples of its own.
    `expected` maps a check that is known to fail to the reason why: such a test is an expected failure of
    pytest, and fails if it passes.  Raises PluginError where there is no sample, a name is no check, or a
    reason is empty.
    """
    import pytest

    reasons = reasoned(expected or {})
    known = {
        name: pytest.mark.xfail(strict=True, raises=ContractError, reason=why)
        for name, why in reasons.items()
    }
    cases = [(block, Held(name, block, site)) for block, site in placed(samples) for name in CHECKS]

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        both = "block" in inspect.signature(test).parameters
        names = ["block", "check"] if both else ["check"]
        params = [
            pytest.param(
                *(block, check)[-len(names) :],
                id=f"{described(block)}-{check.name}",
                marks=[known[check.name]] if check.name in known else [],
            )
            for block, check in cases
        ]
        return pytest.mark.parametrize(names, params)(test)

    return decorate


def placed(samples: Samples) -> list[tuple[Block, Site | None]]:
    """Each sample with the site it is tried at, None for the usual one."""
    found = samples_of(samples) if isinstance(samples, type) else list(samples)
    return [sample if isinstance(sample, tuple) else (sample, None) for sample in found]


def samples_of(kind: type[Block]) -> list[Sample]:
    """The samples that a class of blocks offers."""
    found: list[Sample] = list(kind.samples())
    if not found:
        message = f"block {kind.kind!r} has no samples to try"
        hint = "give blocks, or write samples(), a classmethod that returns some"
        fail(PluginError, "E415", message, path="samples", hint=hint)
    return found
