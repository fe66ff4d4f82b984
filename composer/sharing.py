"""Uses of one copy that are not alike, and who said so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .chain import Chain, LayerPlan, MixerPlan, Trunk
from .overrides import Choice, Said

ALIKE = "options of a shared block are the same in every use; give one of them another name"
APART = "a guest brings a norm with it; give one of them another name"


@dataclass(frozen=True)
class Clash:
    """Two layers that take one copy, the first of them and a later one, and what each takes it for."""

    trunk: Trunk
    layers: tuple[int, int]
    parts: tuple[Chain | MixerPlan, Chain | MixerPlan]

    @property
    def whole(self) -> bool:
        """Whether one of them takes it as a guest and the other as a part of itself."""
        first, again = (isinstance(part, Chain) for part in self.parts)
        return first != again

    @property
    def message(self) -> str:
        """What is wrong."""
        first, again = self.layers
        how = ", one as a guest and one as a part of it" if self.whole else " with other options"
        return f"layers {first} and {again} share a copy of {self.trunk.word!r}{how}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        return APART if self.whole else ALIKE

    def blame(self, choices: Sequence[Mapping[str, Choice]]) -> Said | None:
        """What the pattern or an override says in only one of the layers; `choices` are those of every layer."""
        for one, other in zip(*map(blocks_of, self.parts), strict=False) if not self.whole else ():
            first, again = (choices[index].get(one.word, Choice()).values for index in self.layers)
            for key in {**again, **first}:
                if getattr(one.block, key, None) != getattr(other.block, key, None):
                    return again.get(key) or first[key]
        return None


def clashes(layers: Iterable[LayerPlan]) -> Iterator[Clash]:
    """Every use of a copy that differs from the first one, since its weights are built once."""
    first: dict[Trunk, tuple[int, Chain | MixerPlan]] = {}
    for layer in layers:
        for trunk, part in layer.trunks():
            index, known = first.setdefault(trunk, (layer.index, part))
            if taken(known) != taken(part):
                yield Clash(trunk, (index, layer.index), (known, part))


def taken(part: Chain | MixerPlan) -> tuple[object, ...]:
    """What all uses of a copy have together."""
    return part.branches if isinstance(part, Chain) else (part.block, part.site)


def blocks_of(part: Chain | MixerPlan) -> tuple[MixerPlan, ...]:
    """The blocks of a shared chain; a shared block is its own only one."""
    return part.mixers if isinstance(part, Chain) else (part,)
