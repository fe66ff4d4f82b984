"""Faults that authors of blocks make: mutations of five small honest blocks, each with a sentence that says it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from composer import Block

from . import (
    attention,
    attention_by_hand,
    attention_module,
    attention_numbers,
    attention_options,
    convolution,
    experts,
    feedforward,
    recurrence,
    recurrence_module,
)

HONEST: dict[str, list[Block]] = {
    "attention": [
        attention.Honest(),
        attention.Honest(dropout=0.4),
        attention.Honest(fault="ByHand"),
    ],
    "recurrence": [recurrence.Fading(), recurrence.Fading(fault="InPlace")],
    "convolution": [convolution.Conv()],
    "feed-forward": [feedforward.Gated(), feedforward.Gated(dropout=0.3)],
    "experts": [experts.Experts()],
}
"""The blocks that all faults are made from, and ways to write them that look like faults and are none."""

NO_FAULTS = {"ByHand", "InPlace", "Gained", "FilledLater", "Raises", "Ticking", "CachesMean"}
"""Honest, or half of a fault that another class completes."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one block."""

    name: str
    base: str
    says: str
    block: Block = field(repr=False)


def classes(module: ModuleType, base: type) -> Iterator[type]:
    """Subclasses that a file defines, in its order."""
    for each in vars(module).values():
        mine = isinstance(each, type) and each.__module__ == module.__name__
        if mine and issubclass(each, base) and each is not base:
            yield each


def made(base: str, honest: type[Any], table: dict[str, Any], *files: ModuleType) -> Iterator[Fault]:
    """Every fault of the blocks of some files, those of modules first."""
    for file in files:
        for each in classes(file, vars(inspect.getmodule(honest))["Module"]):
            table[each.__name__] = each
            if each.__name__ not in NO_FAULTS:
                yield fault(base, each, honest(fault=each.__name__, **getattr(each, "options", {})))
    for file in files:
        for each in classes(file, honest):
            yield fault(base, each, each(**getattr(each, "options", {})))


def fault(base: str, where: type, block: Block) -> Fault:
    """A row of the table, told by the docstring of the class."""
    return Fault(where.__name__, base, (where.__doc__ or "").splitlines()[0], block)


FAULTS: list[Fault] = [
    *made(
        "attention",
        attention.Honest,
        attention.MODULES,
        attention_module,
        attention_numbers,
        attention_by_hand,
        attention_options,
    ),
    *made("recurrence", recurrence.Fading, recurrence.MODULES, recurrence_module),
    *made("convolution", convolution.Conv, convolution.MODULES, convolution),
    *made("feed-forward", feedforward.Gated, feedforward.MODULES, feedforward),
    *made("experts", experts.Experts, experts.MODULES, experts),
]
