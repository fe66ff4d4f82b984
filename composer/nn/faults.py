"""Where a model was when code of a block failed or was interrupted: read from the traceback, for nothing before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import nn

from composer.block import Block
from composer.chain import LayerPlan, MixerPlan
from composer.errors import ComposerError, PluginError, Problem
from composer.plan import Plan
from composer.plugins.blaming import frames
from composer.plugins.gathering import called
from composer.plugins.holding import REPORT
from composer.plugins.problems import described

from .promised import homes

_T = TypeVar("_T")


@contextmanager
def building() -> Iterator[None]:
    """Modules of blocks are built within: what one raises becomes a PluginError that says which, with the cause."""
    try:
        yield
    except ComposerError:
        raise
    except BaseException as error:
        if found := block_built(error):
            tell(error, *found)
        raise


def block_built(error: BaseException) -> tuple[Block, str, str] | None:
    """The block whose build() was running, what was asked of it, and where it stands."""
    seen = [value for frame in frames(error) for value in frame.f_locals.values()]
    mixer, layer = last(seen, MixerPlan), last(seen, LayerPlan)
    if mixer is None:
        return None
    place = f"layer {layer.index}" if layer and not mixer.trunk else "what layers share"
    return mixer.block, "build()", f"for {mixer.word!r} in {place}"


def explain(error: BaseException, model: nn.Module, plan: Plan) -> None:
    """Say in an error of a call which block was running.

    Its type stays, a note is added.  Of one that would end the process, and is none of the user, a PluginError
    is raised in its place.
    """
    if not isinstance(error, ComposerError) and (found := block_run(error, model, plan)):
        block, function, place = found
        if isinstance(error, Exception | KeyboardInterrupt):
            error.add_note(note(block, function, place))
        else:
            tell(error, block, function, place)


def block_run(error: BaseException, model: nn.Module, plan: Plan) -> tuple[Block, str, str] | None:
    """The block whose module was running, what was asked of it, and where it stands."""
    names = {id(module): name for name, module in model.named_modules()}
    path = [names[id(self)] for frame in frames(error) if id(self := frame.f_locals.get("self")) in names]
    layer = next((name for name in path if name.startswith("layers.") and name.count(".") == 1), "a layer")
    for prefix, mixer in homes(plan):
        if any(f"{name}.".startswith(prefix) for name in path):
            return mixer.block, "forward()", f"for {mixer.word!r} in {layer.replace('s.', ' ')}"
    return None


def tell(error: BaseException, block: Block, function: str, place: str) -> None:
    """Raise the PluginError of an error in code of a block; an interrupt of the user gets a note."""
    if isinstance(error, KeyboardInterrupt):
        error.add_note(note(block, function, place))
        return
    message = f"{note(block, function, place)} failed: {described(error)}"
    raise PluginError(Problem("E424", message, hint=REPORT)) from error


def note(block: Block, function: str, place: str) -> str:
    """Which function of which block, of whose plugin, and where in the model."""
    return f"{called(type(block))}: {function} of kind {block.kind!r} {place}"


def last(values: list[Any], form: type[_T]) -> _T | None:
    """The innermost value of a type."""
    return next((value for value in reversed(values) if isinstance(value, form)), None)
