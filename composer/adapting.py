"""Where adapters can stand: every linear and every group of linears by the name that a spec gives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .block import Linears
from .chain import AdapterPlan, MixerPlan
from .spec import Adapter

Where = tuple[str, str, str | None]
"""The path of a block, a group of its linears, and a part of that where it is not the whole group."""


def places_of(mixers: Iterable[MixerPlan], bare: bool) -> Iterator[tuple[str, Where]]:
    """Every linear and every group of linears of some blocks, by the name an adapter gives it."""
    for mixer in mixers:
        before = "" if bare else f"{mixer.path}."
        for group, linears in mixer.declared.linears.items():
            yield before + group, (mixer.path, group, None)
            for part in linears.parts:
                yield f"{before}{group}.{part}", (mixer.path, group, part)


def same_linear(one: Where, other: Where) -> bool:
    """Whether two adapters would add to one linear."""
    return one[:2] == other[:2] and (one[2] == other[2] or None in (one[2], other[2]))


def adapter_plan(adapter: Adapter, mixer: MixerPlan, group: str, part: str | None) -> AdapterPlan:
    """The two maps of an adapter beside the linears that it adds to."""
    linears = mixer.declared.linears[group]
    parts = linears.parts if part is None else {part: linears.parts[part]}
    return AdapterPlan(
        mixer.path,
        group,
        part,
        down=Linears(
            reads=linears.reads, parts={"down": adapter.rank}, init="adapter_down", used=linears.used
        ),
        up=Linears(reads=adapter.rank, parts=parts, init="adapter_up", used=linears.used),
        scale=1.0 if adapter.alpha is None else adapter.alpha / adapter.rank,
        dropout=adapter.dropout,
        frozen=adapter.frozen,
    )
