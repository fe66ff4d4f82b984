"""The options of the block and what follows from them without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field

from composer import Block, Causal, Declared, Linears, Param, Site, Slot, Width

if TYPE_CHECKING:
    from .module import ShortConvModule


class ShortConv(Block):
    """`out(C * conv(B * x))`: B, C and x are projections of a token, and the convolution mixes its newest neighbours.

    Each channel has a kernel of its own, and nothing is activated.
    """

    kind: ClassVar[str] = "short-conv"

    kernel_size: Annotated[int, Field(ge=2, le=1024)] = Field(
        default=3, description="Tokens that the convolution looks at, the own included."
    )
    bias: bool = Field(default=False, description="Add a bias to the projections and to the convolution.")
    width: Width | None = Field(
        default=None, description="Channels of the convolution; as many as the stream when absent."
    )

    @classmethod
    def samples(cls) -> Sequence[Block]:
        """The usual one, the narrowest, and one whose kernel is longer than many a call."""
        return [cls(), cls(kernel_size=2, width=1), cls(kernel_size=9, width=21, bias=True)]

    def settle(self, site: Site) -> Self:
        """The width of the stream where none is given."""
        return self.model_copy(update={"width": self.width or site.reads})

    @property
    def channels(self) -> int:
        """Channels of the convolution, once settled."""
        return self.width or 0

    def sees(self, query: Any, key: Any) -> Any:
        """The tokens under the kernel."""
        return Causal(self.kernel_size)(query, key)

    def declares(self, site: Site) -> Declared:
        """Three projections of one input, one kernel a channel, one projection back; the last gated inputs."""
        channels, size = self.channels, self.kernel_size
        params = {"kernel": Param(shape=(channels, size), init="conv", axes=("channels", None))}
        if self.bias:
            params["kernel_bias"] = Param(shape=(channels,), init="bias", axes=("channels",))
        parts = {"B": channels, "C": channels, "x": channels}
        axes = ("channels", "hidden")
        return Declared(
            params=params,
            linears={
                "in_proj": Linears(reads=site.reads, parts=parts, bias=self.bias, axes=axes),
                "out_proj": Linears(
                    reads=channels, parts={"out": site.writes}, bias=self.bias, axes=axes[::-1]
                ),
            },
            slot=Slot(kind="recurrent", tensors={"conv": (size - 1, channels)}),
        )

    def flops(self, site: Site, context: int) -> int:
        """The convolution: a multiply-add for each number of the kernels."""
        return 2 * self.channels * self.kernel_size

    def build(self, site: Site) -> ShortConvModule:
        """The torch module."""
        from .module import ShortConvModule

        return ShortConvModule(self, site)
