"""The list of checks, in the order they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from composer.errors import PluginError, did_you_mean, fail

from . import adapting, declaration, module, recurrence, sequence, slopes
from .bench import Bench

Check = Callable[[Bench], None]

CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        declaration.options,
        declaration.parameters,
        declaration.initialisation,
        declaration.memory,
        declaration.flops,
        sequence.shape,
        module.repeats,
        module.input_kept,
        module.dropout,
        sequence.sees_no_more,
        sequence.sees_no_less,
        sequence.rows,
        sequence.padding,
        sequence.packing,
        sequence.chunks,
        sequence.steps,
        sequence.ragged,
        sequence.crop,
        recurrence.states,
        recurrence.bounded,
        sequence.kernels,
        slopes.gradients,
        module.half,
        module.meta,
        module.saving,
        module.copies,
        module.prepared,
        adapting.adapters,
        module.compiling,
    )
}

BASIS = ("parameters", "shape", "memory")
"""What all other checks stand on, and the later of them on the earlier: where one of these fails, the first that
does is the root, and the others say little."""

SIMPLER: Mapping[str, tuple[str, ...]] = {
    "sees_no_more": ("repeats", "dropout"),
    "sees_no_less": ("repeats", "dropout"),
    "rows": ("repeats", "dropout"),
    "padding": ("rows",),
    "packing": ("repeats", "dropout"),
    "chunks": ("sees_no_more",),
    "steps": ("sees_no_more", "chunks"),
    "ragged": ("rows", "padding", "chunks", "steps"),
    "crop": ("rows", "padding", "chunks", "steps", "ragged"),
    "states": ("rows", "padding", "chunks", "steps", "ragged"),
    "bounded": ("chunks",),
    "kernels": ("repeats", "dropout"),
    "gradients": ("repeats", "dropout"),
    "half": ("repeats", "dropout"),
    "saving": ("repeats", "dropout"),
    "copies": ("repeats", "dropout"),
    "prepared": ("repeats", "dropout", "saving"),
    "adapters": ("repeats", "dropout", "prepared"),
    "compiling": ("repeats", "dropout"),
}
"""Checks of less: where one of these fails as well, it is usually for the same cause, and easier to understand."""


def basis_of(name: str) -> tuple[str, ...]:
    """What a check stands on, the root first; of what runs no call, that are declarations alone."""
    if name in BASIS:
        return BASIS[: BASIS.index(name)]
    order = list(CHECKS)
    runs = order.index(name) > order.index("memory")
    return BASIS if runs else tuple(each for each in BASIS if order.index(each) < order.index(name))


def contract_checks() -> Mapping[str, Check]:
    """Every check by name, in the order they run; the docstring of each says what it demands."""
    return dict(CHECKS)


def rule(name: str) -> str:
    """What a check demands, in a sentence."""
    return (CHECKS[name].__doc__ or "").splitlines()[0]


def chosen(names: Iterable[str] | None) -> list[str]:
    """The names of the checks to run, all of them for None; PluginError for a name that is no check."""
    wanted = list(CHECKS if names is None else names)
    for name in wanted:
        if name not in CHECKS:
            hint = did_you_mean(name, CHECKS) or f"one of: {', '.join(CHECKS)}"
            fail(PluginError, "E413", f"no check is called {name!r}", path="checks", hint=hint)
    return wanted
