"""The options of the feed-forward block and what follows from them without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from composer import ActivationName, Block, Declared, Linears, Site, Width

if TYPE_CHECKING:
    from .module import MLPModule


class MLP(Block):
    """`down(act(up(x)))`, or with a gate `down(act(gate(x)) * up(x))`; every token on its own."""

    kind: ClassVar[str] = "mlp"

    intermediate_size: Width = Field(description="Width between the projections.")
    hidden_act: ActivationName = Field(
        description="The activation, by the name published configurations use."
    )
    gated: bool = Field(default=False, description="Multiply by an activated second projection.")
    bias: bool = Field(default=False, description="Add a bias to every projection.")

    @classmethod
    def samples(cls) -> Sequence[Block]:
        """Plain, gated, with biases."""
        return (
            cls(intermediate_size=1, hidden_act="relu"),
            cls(intermediate_size=40, hidden_act="silu", gated=True),
            cls(intermediate_size=33, hidden_act="gelu_pytorch_tanh", gated=True, bias=True),
        )

    def sees(self, query: Any, key: Any) -> Any:
        """A token sees itself alone."""
        return key == query

    def declares(self, site: Site) -> Declared:
        """One or two projections up, one down."""
        up = {"gate": self.intermediate_size} if self.gated else {}
        up["up"] = self.intermediate_size
        group = "gate_up" if self.gated else "up"
        return Declared(
            linears={
                group: Linears(reads=site.reads, parts=up, bias=self.bias, axes=("intermediate", "hidden")),
                "down": Linears(
                    reads=self.intermediate_size,
                    parts={"down": site.writes},
                    bias=self.bias,
                    axes=("hidden", "intermediate"),
                ),
            }
        )

    def flops(self, site: Site, context: int) -> int:
        """Nothing beyond the projections."""
        return 0

    def build(self, site: Site) -> MLPModule:
        """The torch module."""
        from .module import MLPModule

        return MLPModule(self, site)
