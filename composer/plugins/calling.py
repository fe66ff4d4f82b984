"""The functions of a block that describe it, called so that what goes wrong in them is told as the plugin's fault."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, TypeVar

from pydantic import ValidationError

from ..block import Block, Declared, Site
from ..errors import PluginError, Problem
from .gathering import called
from .holding import REPORT, held
from .timing import FUNCTION, allowed

_T = TypeVar("_T")


def validated(kind: type[Block], options: dict[str, Any]) -> Block:
    """The options of a kind, checked.  Raises ValidationError, and PluginError for a fault of the plugin."""
    with _held(kind, "a check of options", ValidationError):
        return kind.model_validate(options)


def settled(block: Block, site: Site) -> Block:
    """The options at a site.  Raises ValueError as the block does, PluginError for a fault of the plugin."""
    with _held(type(block), "settle()", ValueError):
        return _of(Block, block.settle(site), type(block), "settle()")


def declared(block: Block, site: Site) -> Declared:
    """What settled options declare at a site.  Raises as `settled` does."""
    with _held(type(block), "declares()", ValueError):
        return _of(Declared, block.declares(site), type(block), "declares()")


def flops(block: Block, site: Site, context: int) -> int | None:
    """FLOPs of a token beyond the linears, None where the block cannot say.  Raises PluginError."""
    with _held(type(block), "flops()"):
        found = block.flops(site, context)
        return found if found is None else _of(int, found, type(block), "flops()")


def schema(kind: type[Block]) -> dict[str, Any]:
    """The JSON Schema of the options of a kind.  Raises PluginError."""
    with _held(kind, "the schema"):
        return kind.model_json_schema()


def _held(kind: type[Block], function: str, *passes: type[Exception]) -> AbstractContextManager[None]:
    doing = f"{function} of kind {kind.kind!r}"
    return held(called(kind), doing, allowed(FUNCTION), passes=(PluginError, *passes))


def _of(form: type[_T], found: Any, kind: type[Block], function: str) -> _T:
    if isinstance(found, form):
        return found
    message = (
        f"{called(kind)}: {function} of kind {kind.kind!r} returned {found!r}, which is no {form.__name__}"
    )
    raise PluginError(Problem("E410", message, hint=REPORT))
