"""What authors of an attention block get wrong in its options and declarations."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from composer import Declared, Param, Site, Slot
from composer.nn import At

from .attention import HEADS, WIDTH, WINDOW, Honest, Module


class Undescribed(Honest):
    """An option has no description."""

    gain: float = 1.0


class NotWritten(Honest):
    """An option is left out when the others are written down."""

    options: ClassVar[dict[str, Any]] = {"gain": 2.0}

    gain: float = Field(default=1.0, description="A factor.", exclude=True)


class Thawed(Honest):
    """Options can be changed after the fact."""

    model_config = ConfigDict(frozen=False)


class Listed(Honest):
    """An option is a list, which has no hash."""

    gains: list[float] = Field(default=[1.0], description="Factors.")


class Ignored(Honest):
    """An option is read nowhere."""

    softcap: float = Field(default=30.0, description="Scores are bounded by this.")


class SettlesAgain(Honest):
    """A default that is filled in grows each time it is."""

    gain: float = Field(default=1.0, description="A factor.")

    def settle(self, site: Site) -> SettlesAgain:
        return self.model_copy(update={"gain": self.gain * site.reads**0.5})


class Gained(Module):
    """Honest: it has a parameter of its own beside its linears."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.gain = nn.Parameter(torch.empty(3))

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * self.gain.mean()


class NamesNoInit(Honest):
    """A parameter is of a kind that no spec can name."""

    init: ClassVar[str] = "1/sqrt(n)"

    def declares(self, site: Site) -> Declared:
        gain = {"gain": Param(shape=(3,), init=type(self).init)}
        return super().declares(site).model_copy(update={"params": gain})

    def build(self, site: Site) -> Any:
        return Gained(self, site)


class WrongInit(NamesNoInit):
    """A gain is drawn around 0 as a linear map is, where 1 is meant."""

    init: ClassVar[str] = "linear"


class DrawsOver(NamesNoInit):
    """A parameter is filled again when the module is first called."""

    init: ClassVar[str] = "norm"

    def build(self, site: Site) -> Any:
        return FilledLater(self, site)


class FilledLater(Gained):
    """Fills its gain in the first call."""

    filled = False

    def forward(self, x: Tensor, at: At) -> Tensor:
        if not self.filled:
            self.gain.data.fill_(1.0)
            self.filled = True
        return super().forward(x, at)


class CountsAllKeys(Honest):
    """FLOPs are those of all keys, where a window hides most."""

    def flops(self, site: Site, context: int) -> int | None:
        return 4 * HEADS * WIDTH * context


class CountsOnce(Honest):
    """A multiplication and its addition are counted as one FLOP."""

    def flops(self, site: Site, context: int) -> int | None:
        return 2 * HEADS * WIDTH * min(context, WINDOW)


class NoSlot(Honest):
    """Earlier tokens are attended to, but no slot is declared."""

    def declares(self, site: Site) -> Declared:
        return super().declares(site).model_copy(update={"slot": None})


class SlotOfMore(Honest):
    """The slot declares a tensor that is never remembered."""

    def declares(self, site: Site) -> Declared:
        slot = Slot(tensors=dict.fromkeys(("k", "v", "w"), (HEADS, WIDTH)), window=WINDOW)
        return super().declares(site).model_copy(update={"slot": slot})


class SlotTooSmall(Honest):
    """The slot's window is one token smaller than what is looked at."""

    def flops(self, site: Site, context: int) -> int | None:
        return None

    def declares(self, site: Site) -> Declared:
        slot = Slot(tensors=dict.fromkeys("kv", (HEADS, WIDTH)), window=WINDOW - 1)
        return super().declares(site).model_copy(update={"slot": slot})


class SlotTooLarge(Honest):
    """The slot keeps all tokens, where only a window is looked at."""

    def flops(self, site: Site, context: int) -> int | None:
        return None

    def declares(self, site: Site) -> Declared:
        return (
            super()
            .declares(site)
            .model_copy(update={"slot": Slot(tensors=dict.fromkeys("kv", (HEADS, WIDTH)))})
        )


class SeesEverything(Honest):
    """`sees` says that later tokens are seen."""

    def sees(self, query: Any, key: Any) -> Any:
        return (key == key) & (query == query)
