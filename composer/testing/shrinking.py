"""The smallest case that fails: fewer rows, calls and tokens, then a narrower stream and simpler options."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from composer.block import Block, Site

from .bench import Bench
from .cases import Case, smaller
from .findings import Found, root, said

Trial = Callable[[Bench, Any], None]

SECONDS = 2.0
"""How long a smaller case is looked for."""
NARROWEST = 4
"""Width of the narrowest stream that is tried: in one of a single channel much is the same by chance."""


@dataclass(frozen=True)
class Counterexample:
    """A block, what it is fed, and what is then wrong; no case where nothing is fed."""

    bench: Bench
    case: Case | None
    error: BaseException

    def __str__(self) -> str:
        found = getattr(self.error, "detail", "") or said(self.error)
        fed = [f"fed  {self.case}"] if self.case else []
        return "\n".join([f"with {described(self.bench.block)} {at(self.bench.site)}", *fed, f"     {found}"])


def shrunk(bench: Bench, check: Callable[[Bench], None], error: BaseException) -> Counterexample:
    """The smallest case that was found in which a check fails as it did."""
    if isinstance(error, Found):
        return smallest(Counterexample(bench, error.case, error.cause), error.trial)
    return smallest(Counterexample(bench, None, root(error)), lambda bench, _: check(bench))


def smallest(found: Counterexample, trial: Trial) -> Counterexample:
    """What is left when nothing more can be left out, or the time is over."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        less = next((each for each in tried(found, trial, end)), None)
        if less is None:
            return found
        found = less
    return found


def tried(found: Counterexample, trial: Trial, end: float) -> Iterator[Counterexample]:
    """Smaller cases that fail by the same kind of error."""
    for bench, case in less(found):
        if time.monotonic() > end:
            return
        try:
            trial(bench, case)
        except (Exception, SystemExit) as error:
            cause = error.cause if isinstance(error, Found) else root(error)
            if type(cause) is type(found.error):
                yield Counterexample(bench, case, cause)


def less(found: Counterexample) -> Iterator[tuple[Bench, Case | None]]:
    """What may be left out, one thing at a time."""
    if found.case:
        yield from ((found.bench, case) for case in smaller(found.case))
    yield from ((bench, found.case) for bench in simpler(found.bench))


def simpler(bench: Bench) -> Iterator[Bench]:
    """The block in a narrower stream, and with options that are smaller or left at their defaults."""
    site, block = bench.site, bench.block
    narrow = {name: max(NARROWEST, getattr(site, name) // 2) for name in ("reads", "writes")}
    if narrow != {"reads": site.reads, "writes": site.writes}:
        yield from standing(block, site.model_copy(update=narrow), {})
    for name, value in block:
        for other in smaller_options(value, type(block).model_fields[name].default):
            yield from standing(block, site, {name: other})


def smaller_options(value: Any, default: Any) -> list[Any]:
    """Values of an option that are worth trying in place of one."""
    if value == default or isinstance(value, bool):
        return [False] if value is True and default is not True else []
    numbers = [1, value // 2, value - 1] if isinstance(value, int) and value > 1 else []
    usual = [default] if default is None or isinstance(default, bool | int | float | str) else []
    return [each for each in dict.fromkeys([*usual, *numbers]) if each != value]


def standing(block: Block, site: Site, change: dict[str, Any]) -> Iterator[Bench]:
    """The block with other options at its place, if it can stand there."""
    try:
        options = {**block.model_dump(exclude_unset=True), **change}
        yield Bench(type(block).model_validate(options).settle(site), site)
    except Exception:  # an option or a width that the block refuses
        return


def described(block: Block) -> str:
    """`echo(window=4, sharpness=False)`: the kind, and the options that are not as by default."""
    return f"{block.kind}({given(block)})"


def given(model: BaseModel) -> str:
    """What is not as by default, in a model and in those within it."""
    fields = type(model).model_fields
    return ", ".join(
        f"{name}={written(value)}" for name, value in model if value != fields[name].get_default()
    )


def written(value: Any) -> str:
    """A value as one would type it."""
    return f"{type(value).__name__}({given(value)})" if isinstance(value, BaseModel) else repr(value)


def at(site: Site) -> str:
    """Where a block stands, in words."""
    width = f"{site.reads}" if site.reads == site.writes else f"{site.reads}, writing {site.writes}"
    return f"in a stream of width {width}"
