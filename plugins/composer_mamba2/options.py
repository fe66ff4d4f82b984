"""The options of the Mamba2 block and what follows from them without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from composer import ActivationName, Block, Declared, Linears, Param, Site, Slot, Width

if TYPE_CHECKING:
    from .module import Mamba2Module

Kernel = Annotated[int, Field(ge=2, le=1024)]
StepSize = Annotated[float, Field(gt=0)]


class Mamba2(Block):
    """A selective state space: each head keeps a matrix that fades and is written to, token by token.

    A short convolution comes before it, a gated norm after it.
    """

    kind: ClassVar[str] = "mamba2"

    num_heads: Width = Field(description="Heads, each with a state of its own.")
    head_dim: Width = Field(description="Width of a head; heads times this is the width inside the block.")
    state_size: Width = Field(description="How many numbers each channel of a head remembers.")
    num_groups: Width = Field(
        default=1,
        description="Groups of heads that write and read at the same places, and that are normed together; "
        "a divisor of the heads.",
    )
    conv_kernel: Kernel = Field(
        default=4, description="Tokens that the convolution looks at, the own included."
    )
    hidden_act: ActivationName = Field(default="silu", description="The activation after the convolution.")
    bias: bool = Field(default=False, description="Add a bias to the projections in and out.")
    conv_bias: bool = Field(default=True, description="Add a bias to the convolution.")
    norm_eps: float = Field(
        default=1e-5, gt=0, description="Added to the mean square in the gated norm before the root."
    )
    dt_min: StepSize | None = Field(
        default=None, description="Least step a token takes through the state; null for no bound."
    )
    dt_max: StepSize | None = Field(
        default=None, description="Longest step a token takes through the state; null for no bound."
    )
    dt_min_in_step: bool = Field(
        default=True,
        description="Whether `dt_min` also holds for a single token that continues a cache; false follows "
        "implementations that forget it there, whose cached results differ from uncached ones.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.num_heads % self.num_groups:
            raise ValueError(
                f"num_heads ({self.num_heads}) must be a multiple of num_groups ({self.num_groups})"
            )
        if self.dt_min is not None and self.dt_max is not None and self.dt_min > self.dt_max:
            raise ValueError(f"dt_min ({self.dt_min:g}) must not be above dt_max ({self.dt_max:g})")
        return self

    @classmethod
    def samples(cls) -> Sequence[Block]:
        """One head of one channel; groups, a long convolution, biases, bounds of the step."""
        return (
            cls(num_heads=1, head_dim=1, state_size=1, conv_kernel=2),
            cls(num_heads=4, head_dim=8, state_size=6, num_groups=2),
            cls(num_heads=6, head_dim=5, state_size=7, num_groups=3, conv_kernel=9, bias=True),
            cls(
                num_heads=4,
                head_dim=8,
                state_size=6,
                conv_bias=False,
                hidden_act="gelu",
                dt_min=0.3,
                dt_max=1.0,
            ),
        )

    @property
    def inner(self) -> int:
        """Width between the projections."""
        return self.num_heads * self.head_dim

    @property
    def convolved(self) -> dict[str, int]:
        """What goes through the convolution, and how many channels of each."""
        shared = self.num_groups * self.state_size
        return {"x": self.inner, "B": shared, "C": shared}

    @property
    def channels(self) -> int:
        """All channels of the convolution."""
        return sum(self.convolved.values())

    def declares(self, site: Site) -> Declared:
        """Five projections of one input, a convolution, one out; the last inputs and the states to remember."""
        return Declared(
            linears={
                "in": Linears(
                    reads=site.reads,
                    parts={"z": self.inner, **self.convolved, "dt": self.num_heads},
                    bias=self.bias,
                    axes=("heads", "hidden"),
                ),
                "out": Linears(
                    reads=self.inner, parts={"out": site.writes}, bias=self.bias, axes=("hidden", "heads")
                ),
            },
            params=self._params(),
            slot=Slot(
                kind="recurrent",
                tensors={
                    "conv": (self.channels, self.conv_kernel - 1),
                    "ssm": (self.num_heads, self.head_dim, self.state_size),
                },
            ),
        )

    def _params(self) -> dict[str, Param]:
        params = {
            name: Param(shape=(self.num_heads,), init=name, axes=("heads",))
            for name in ("A_log", "D", "dt_bias")
        }
        for part, width in self.convolved.items():
            axis = "heads" if part == "x" else "groups"
            params[f"conv.{part}.weight"] = Param(
                shape=(width, self.conv_kernel), init="conv", axes=(axis, None)
            )
            if self.conv_bias:
                params[f"conv.{part}.bias"] = Param(shape=(width,), init="bias", axes=(axis,))
        params["norm.weight"] = Param(shape=(self.inner,), init="norm", axes=("heads",))
        return params

    def flops(self, site: Site, context: int) -> int:
        """The convolution, and two multiply-adds for each number of the states: one to write, one to read."""
        states = self.inner * self.state_size
        return 2 * self.channels * self.conv_kernel + 4 * states

    def build(self, site: Site) -> Mamba2Module:
        """The torch module."""
        from .module import Mamba2Module

        return Mamba2Module(self, site)
