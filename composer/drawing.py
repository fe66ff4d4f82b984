"""Groups of linear maps that a spec draws in a way of their own: `init: {full.out: ...}`."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from .block import Declared
from .errors import Path


def named(block: str, group: str) -> str:
    """What `init` calls a group of linears of a block; the name of a kind of tensor has no dot."""
    return f"{block}.{group}"


def drawn_apart(block: str, declared: Declared, init: Container[str]) -> Declared:
    """What a block declares, where the weights of the groups that `init` names are of a kind of their own."""
    apart = {
        group: linears.model_copy(update={"init": named(block, group)})
        for group, linears in declared.linears.items()
        if named(block, group) in init
    }
    return declared.model_copy(update={"linears": {**declared.linears, **apart}}) if apart else declared


def groups(blocks: Iterable[tuple[str, Declared]]) -> Iterator[str]:
    """Every group that `init` may name."""
    for block, declared in blocks:
        yield from (named(block, group) for group in declared.linears)


def undrawn_message(kinds: Sequence[str], users: Mapping[str, str]) -> str:
    """That nothing draws these kinds of tensors; `users` names a parameter of each."""
    needed = ", ".join(f"{kind!r} ({users[kind]})" for kind in kinds)
    return f"nothing says how tensors of the kind{'s' if len(kinds) > 1 else ''} {needed} are drawn"


def undrawn_hint(kinds: Sequence[str], path: Path) -> str:
    """Lines to paste: the whole of `init`, or what it lacks if it is the place."""
    lines = ", ".join(f"{kind}: {{distribution: normal, spread: 0.02}}" for kind in kinds)
    return f"add to init, for example: {lines}" if path == ("init",) else f"for example init: {{{lines}}}"
