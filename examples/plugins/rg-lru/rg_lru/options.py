"""The options of the block, and what follows from them without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field

from composer import ActivationName, Block, Declared, Linears, Param, Site, Slot, Width

if TYPE_CHECKING:
    from .module import RGLRUModule

Kernel = Annotated[int, Field(ge=2, le=1024)]


class RGLRU(Block):
    """A gated recurrence: each channel keeps one number, which fades as fast as a gate says.

    A short convolution comes before it, and a second branch of the stream gates what it returns.
    """

    kind: ClassVar[str] = "rg-lru"

    width: Width | None = Field(
        default=None, description="Channels of the recurrence; the width that is read when absent."
    )
    num_heads: Width = Field(
        description="Blocks of the two gates: a gate sees the channels of its own block; a divisor of the width."
    )
    conv_kernel: Kernel = Field(
        default=4, description="Tokens that the convolution looks at, the own included."
    )
    hidden_act: ActivationName = Field(
        default="gelu_pytorch_tanh", description="The activation of the second branch."
    )

    @classmethod
    def samples(cls) -> Sequence[RGLRU]:
        """The smallest options, and odd ones."""
        return [
            cls(width=1, num_heads=1, conv_kernel=2),
            cls(width=21, num_heads=3, conv_kernel=3, hidden_act="silu"),
            cls(width=40, num_heads=40, conv_kernel=9),
        ]

    def settle(self, site: Site) -> Self:
        """As wide as what is read, unless told otherwise."""
        width = self.width or site.reads
        if width % self.num_heads:
            raise ValueError(f"width ({width}) must be a multiple of num_heads ({self.num_heads})")
        return self.model_copy(update={"width": width})

    def declares(self, site: Site) -> Declared:
        """Two projections of one input, a convolution, two gates, one out; the last inputs and the state."""
        width = self.width or 0
        gate = width // self.num_heads
        biases = {
            name: Param(shape=(width,), init="bias", axes=("channels",))
            for name in ("conv_bias", "input_gate_bias", "decay_gate_bias")
        }
        gates = {
            name: Param(shape=(self.num_heads, gate, gate), init="gate", axes=("channels", None, None))
            for name in ("input_gate", "decay_gate")
        }
        params = {
            "decay": Param(shape=(width,), init="decay", axes=("channels",)),
            "conv": Param(shape=(width, self.conv_kernel), init="conv", axes=("channels", None)),
            **gates,
            **biases,
        }
        return Declared(
            params=params,
            linears={
                "into": Linears(
                    reads=site.reads, parts={"x": width, "y": width}, bias=True, axes=("channels", "hidden")
                ),
                "out": Linears(reads=width, parts={"o": site.writes}, bias=True, axes=("hidden", "channels")),
            },
            slot=Slot(kind="recurrent", tensors={"conv": (self.conv_kernel - 1, width), "memory": (width,)}),
        )

    def flops(self, site: Site, context: int) -> int:
        """The convolution and the two gates; the recurrence itself is no product of matrices and not counted."""
        width = self.width or 0
        return 2 * width * self.conv_kernel + 2 * 2 * width * (width // self.num_heads)

    def build(self, site: Site) -> RGLRUModule:
        """The torch module."""
        from .module import RGLRUModule

        return RGLRUModule(self, site)
