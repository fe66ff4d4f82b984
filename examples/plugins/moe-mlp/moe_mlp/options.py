"""The options of the block and what follows from them without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from composer import ActivationName, Block, Declared, Linears, Site, Width

if TYPE_CHECKING:
    from .module import MoEMLPModule


class MoEMLP(Block):
    """Gated feed-forwards, `down(act(gate(x)) * up(x))` each, of which a router picks some for each token.

    The chosen ones are weighted by the softmax of the router's scores, scaled so that the weights of a token sum to 1.
    """

    kind: ClassVar[str] = "moe-mlp"

    num_experts: Width = Field(description="How many experts there are.")
    num_experts_per_tok: Width = Field(
        description="How many of them a token uses; with 1 the router gets no gradient, since its weight is always 1."
    )
    intermediate_size: Width = Field(description="Width between the projections of one expert.")
    hidden_act: ActivationName = Field(default="silu", description="The activation of the gate.")

    @classmethod
    def samples(cls) -> Sequence[Block]:
        """The usual one, the narrowest, and one whose tokens use every expert."""
        return [
            cls(num_experts=4, num_experts_per_tok=2, intermediate_size=24),
            cls(num_experts=2, num_experts_per_tok=1, intermediate_size=1),
            cls(num_experts=3, num_experts_per_tok=3, intermediate_size=7, hidden_act="gelu"),
        ]

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.num_experts_per_tok > self.num_experts:
            raise ValueError(
                f"num_experts_per_tok ({self.num_experts_per_tok}) must not be above num_experts ({self.num_experts})"
            )
        return self

    def sees(self, query: Any, key: Any) -> Any:
        """A token sees itself alone."""
        return key == query

    def declares(self, site: Site) -> Declared:
        """The router, and two groups of linears for each expert, of which a token passes its own alone."""
        linears = {"router": Linears(reads=site.reads, parts={"router": self.num_experts})}
        for number in range(self.num_experts):
            for name, group in self.expert(site).items():
                linears[f"experts.{number}.{name}"] = group
        return Declared(linears=linears)

    def expert(self, site: Site) -> dict[str, Linears]:
        """The linears of one expert."""
        width, used = self.intermediate_size, (self.num_experts_per_tok, self.num_experts)
        up, down = ("intermediate", "hidden"), ("hidden", "intermediate")
        return {
            "gate_up": Linears(reads=site.reads, parts={"gate": width, "up": width}, axes=up, used=used),
            "down": Linears(reads=width, parts={"down": site.writes}, axes=down, used=used),
        }

    def flops(self, site: Site, context: int) -> int:
        """None beyond the linears."""
        return 0

    def build(self, site: Site) -> MoEMLPModule:
        """The torch module."""
        from .module import MoEMLPModule

        return MoEMLPModule(self, site)
