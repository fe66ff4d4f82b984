"""What a page says of single blocks: what each remembers, which copy of a shared one a layer takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..block import Block, Param, Slot
from ..chain import MixerPlan
from ..plan import Plan
from .page_text import Row, code, listed, plural

NOTHING = "nothing"


@dataclass
class Use:
    """Blocks of one name with the same options, and the layers that have them."""

    mixer: MixerPlan
    layers: list[int]


def uses(plan: Plan) -> list[Use]:
    """Every block of a plan by its name and options, in the order in which they first run."""
    found: dict[tuple[str, Block], Use] = {}
    for layer in plan.layers:
        for _, mixer in layer.mixers():
            use = found.setdefault((mixer.word, mixer.block), Use(mixer, []))
            use.layers += [layer.index] if layer.index not in use.layers else []
    return list(found.values())


def block_rows(plan: Plan) -> Iterator[Row]:
    """Each block: its name, kind, layers, memory and options."""
    for use in uses(plan):
        mixer = use.mixer
        yield (
            code(mixer.word),
            mixer.block.kind,
            listed(use.layers, len(plan.layers)),
            memory(mixer.declared.slot),
            "; ".join(options(mixer.block)),
        )


def options(block: Block) -> Iterator[str]:
    """The options that say something, as a spec writes them."""
    for key, value in block.model_dump(mode="json").items():
        if value is not None:
            yield f"{key} {code(written(value))}"


def written(value: Any) -> str:
    """A value as YAML writes it; of a group of options those in use."""
    if isinstance(value, dict):
        inner = (f"{key}: {written(each)}" for key, each in value.items() if each is not None)
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def memory(slot: Slot | None) -> str:
    """What is kept of earlier tokens, in words."""
    if slot is None:
        return NOTHING
    numbers = sum(Param(shape=shape).count for shape in slot.tensors.values())
    if slot.kind != "kv":
        return f"a state of {plural(numbers, 'number')}"
    each = f"{plural(numbers, 'number')} a token"
    return f"{each}, the newest {slot.window:,}" if slot.window else f"{each}, all of them"


def described(mixer: MixerPlan) -> str:
    """A block by its kind and how far it looks back."""
    slot = mixer.declared.slot
    return f"{mixer.block.kind}, window {slot.window:,}" if slot and slot.window else mixer.block.kind


def copy_taken(plan: Plan, word: str, index: int) -> int | None:
    """Which copy of a shared word a layer takes; None where the word is not shared."""
    return dict(plan.uses.get(word, ())).get(index)
