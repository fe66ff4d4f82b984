"""The options of the block, and what follows from them without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from composer import ActivationName, Block, Declared, Linears, Param, Site, Slot, Width

if TYPE_CHECKING:
    from .module import GatedDeltaModule

Kernel = Annotated[int, Field(ge=2, le=1024)]


class GatedDelta(Block):
    """Linear attention whose memory fades, and in which each token replaces what its key stood for.

    A short convolution comes before it, a norm and a gate after it.
    """

    kind: ClassVar[str] = "gated-delta"

    num_key_heads: Width = Field(description="Heads of queries and keys.")
    num_value_heads: Width = Field(
        description="Heads of values, each with a memory of its own; a multiple of the heads of keys."
    )
    key_head_dim: Width = Field(description="Width of a query and of a key.")
    value_head_dim: Width = Field(description="Width of a value.")
    conv_kernel: Kernel = Field(
        default=4, description="Tokens that the convolution looks at, the own included."
    )
    hidden_act: ActivationName = Field(default="silu", description="The activation after the convolution.")
    norm_eps: float = Field(
        default=1e-6, gt=0, description="Added to the mean square of a value in the norm before the root."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.num_value_heads % self.num_key_heads:
            raise ValueError(
                f"num_value_heads ({self.num_value_heads}) must be a multiple of num_key_heads ({self.num_key_heads})"
            )
        return self

    @classmethod
    def samples(cls) -> Sequence[GatedDelta]:
        """The smallest options, and odd ones."""
        return [
            cls(num_key_heads=1, num_value_heads=1, key_head_dim=1, value_head_dim=2, conv_kernel=2),
            cls(num_key_heads=2, num_value_heads=6, key_head_dim=5, value_head_dim=7, norm_eps=1e-3),
            cls(
                num_key_heads=1,
                num_value_heads=4,
                key_head_dim=8,
                value_head_dim=4,
                conv_kernel=9,
                hidden_act="gelu",
            ),
        ]

    @property
    def keys(self) -> int:
        """Width of all queries, and of all keys."""
        return self.num_key_heads * self.key_head_dim

    @property
    def values(self) -> int:
        """Width of all values."""
        return self.num_value_heads * self.value_head_dim

    @property
    def channels(self) -> int:
        """What goes through the convolution: queries, keys, values."""
        return 2 * self.keys + self.values

    def declares(self, site: Site) -> Declared:
        """Six projections of one input, a convolution, one out; the last inputs and the memories to remember."""
        heads = self.num_value_heads
        parts = {"q": self.keys, "k": self.keys, "v": self.values, "z": self.values, "b": heads, "a": heads}
        return Declared(
            params={
                "A_log": Param(shape=(heads,), init="A_log", axes=("heads",)),
                "dt_bias": Param(shape=(heads,), init="dt_bias", axes=("heads",)),
                "conv": Param(shape=(self.channels, self.conv_kernel), init="conv", axes=("heads", None)),
                "norm": Param(shape=(self.value_head_dim,), init="norm"),
            },
            linears={
                "into": Linears(reads=site.reads, parts=parts, axes=("heads", "hidden")),
                "out": Linears(reads=self.values, parts={"o": site.writes}, axes=("hidden", "heads")),
            },
            slot=Slot(
                kind="recurrent",
                tensors={
                    "conv": (self.conv_kernel - 1, self.channels),
                    "memory": (heads, self.key_head_dim, self.value_head_dim),
                },
            ),
        )

    def flops(self, site: Site, context: int) -> int:
        """The convolution, and three multiply-adds for each number of the memories: recall, correct, read."""
        memories = self.key_head_dim * self.values
        return 2 * self.channels * self.conv_kernel + 6 * memories

    def build(self, site: Site) -> GatedDeltaModule:
        """The torch module."""
        from .module import GatedDeltaModule

        return GatedDeltaModule(self, site)
