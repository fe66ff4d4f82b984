"""The contract kit: what every block is held to, by functions that need no test runner.

@pytest.mark.parametrize("check", composer.testing.contract_checks())
def test_my_block(check):
    composer.testing.check_block(MyBlock(size=3), checks=[check])

and `verify`, which holds a whole model to its plan and every way to compute it to the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from composer.block import Block, Site
from composer.errors import PluginError, Problem, did_you_mean, fail

from . import adapting, declaration, module, recurrence, sequence
from .bench import Bench, first_line
from .verify_rows import Row, Verification
from .verifying import verify

__all__ = ["SITE", "ContractError", "Row", "Verification", "check_block", "contract_checks", "verify"]

Check = Callable[[Bench], None]

SITE = Site(reads=32, writes=32, max_position_embeddings=256)
"""Where a block stands when a test does not say: narrow enough to be quick."""

_CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        declaration.options,
        declaration.parameters,
        declaration.initialisation,
        declaration.memory,
        declaration.flops,
        sequence.shape,
        sequence.sees_no_more,
        sequence.sees_no_less,
        sequence.rows,
        sequence.right_padding,
        sequence.left_padding,
        sequence.packing,
        sequence.chunks,
        sequence.steps,
        sequence.ragged,
        sequence.crop,
        recurrence.states,
        recurrence.reset,
        recurrence.bounded,
        sequence.kernels,
        module.repeats,
        module.input_kept,
        module.dropout,
        module.gradients,
        module.half,
        module.meta,
        module.saving,
        module.copies,
        module.prepared,
        adapting.adapters,
        module.compiling,
    )
}
_BASIS = ["parameters", "shape", "memory"]


class ContractError(PluginError, AssertionError):
    """A block that is not what it declares; one problem for every check that failed."""


def contract_checks() -> Mapping[str, Check]:
    """Every check by name, in the order they run; the docstring of each says what it demands."""
    return dict(_CHECKS)


def check_block(block: Block, site: Site | None = None, checks: Iterable[str] | None = None) -> None:
    """Hold a block to its declaration, at a site and by all checks unless told otherwise.

    Raises ContractError with one problem for each check that failed, all at once; if the parameters, the
    shape of the output or the memory are not as declared, with that alone, since the rest stands on them.
    Raises PluginError for a name that is no check and for a site where the block cannot stand.
    """
    bench = settled(block, site or SITE)
    problems = failures(bench, chosen(checks))
    if problems:
        raise ContractError(*(failures(bench, _BASIS)[:1] or problems))


def settled(block: Block, site: Site) -> Bench:
    """The block at its place."""
    try:
        return Bench(block.settle(site), site)
    except Exception as error:  # whatever a stranger's code raises
        message = f"block {block.kind!r} cannot stand at {site!r}: {first_line(error)}"
        fail(
            PluginError,
            "E412",
            message,
            path="settle",
            hint="give a site that fits: check_block(block, site)",
        )


def chosen(names: Iterable[str] | None) -> list[str]:
    """The names of the checks to run."""
    wanted = list(_CHECKS if names is None else names)
    for name in wanted:
        if name not in _CHECKS:
            hint = did_you_mean(name, _CHECKS) or f"one of: {', '.join(_CHECKS)}"
            fail(PluginError, "E413", f"no check is called {name!r}", path="checks", hint=hint)
    return wanted


def failures(bench: Bench, names: Iterable[str]) -> list[Problem]:
    """What some checks found."""
    return [problem for name in names if (problem := failure(bench, name))]


def failure(bench: Bench, name: str) -> Problem | None:
    """What a check found; whatever a block raises on the way is a finding too."""
    check = _CHECKS[name]
    try:
        check(bench)
    except Exception as error:
        crashed = "" if isinstance(error, AssertionError) else f"it raised {type(error).__name__}: "
        message = f"block {bench.block.kind!r} fails {name!r}: {crashed}{first_line(error)}"
        return Problem("E411", message, path=name, hint=(check.__doc__ or "").splitlines()[0])
    return None
