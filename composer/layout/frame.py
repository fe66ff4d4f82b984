"""What the rows of a weight map ask of a plan: which layer has which word and guest, who uses a shared one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..block import Block
from ..chain import Chain, MixerPlan
from ..plan import Plan


@dataclass(frozen=True)
class Frame:
    """The facts of one plan; without one, nothing is shared and there are no guests.

    `uses` maps a shared word to the layer and the copy of each use, in order; `blocks` maps the prefix of a
    block's parameters to its options.
    """

    words: tuple[str, ...] = ()
    guests: tuple[tuple[str, ...], ...] = ()
    uses: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    blocks: Mapping[str, Block] = field(default_factory=dict)
    head: str = ""

    def variables(self, ours: str) -> tuple[dict[str, str], list[int]]:
        """Of a parameter of a shared word: its copy `c`, at a layer also the use `k`; and the copy's layers."""
        first, *rest = ours.split(".")
        if first == "shared" and rest[0] in self.uses:
            copy = int(rest[1])
            return {"c": str(copy)}, self._layers(rest[0], copy)
        if first == "layers" and rest[1] in self.uses:
            layers = [layer for layer, _ in self.uses[rest[1]]]
            use = layers.index(int(rest[0]))
            copy = self.uses[rest[1]][use][1]
            return {"c": str(copy), "k": str(use)}, self._layers(rest[1], copy)
        return {}, []

    def _layers(self, word: str, copy: int) -> list[int]:
        return [layer for layer, found in self.uses[word] if found == copy]

    def option(self, ours: str, name: str) -> int:
        """The whole number that an option of a parameter's block has."""
        prefix = next(prefix for prefix in self.blocks if ours.startswith(prefix))
        return int(getattr(self.blocks[prefix], name))


def frame_of(plan: Plan) -> Frame:
    """The frame of a plan."""
    blocks = {
        _home(f"layers.{layer.index}.{prefix}", chain, mixer): mixer.block
        for layer in plan.layers
        for prefix, chain in layer.chains()
        for mixer in chain.mixers
    }
    words = tuple(layer.word for layer in plan.layers)
    guests = tuple(tuple(layer.guests) for layer in plan.layers)
    return Frame(words, guests, plan.uses, blocks, plan.head.kind)


def _home(prefix: str, chain: Chain, mixer: MixerPlan) -> str:
    """What the names of a block's parameters begin with, where the chain's own begin with `prefix`."""
    if mixer.trunk:
        return mixer.trunk.prefix
    return f"{chain.trunk.prefix if chain.trunk else prefix}{mixer.path}."
