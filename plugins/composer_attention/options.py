"""The options of attention and what follows from them without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from composer import Block, Causal, Declared, Linears, Rope, Site, Slot, Width

if TYPE_CHECKING:
    from .module import AttentionModule


class Attention(Block):
    """Softmax attention in which groups of query heads share a key head."""

    kind: ClassVar[str] = "attention"

    num_attention_heads: Width = Field(description="Query heads.")
    num_key_value_heads: Width | None = Field(
        default=None, description="Key and value heads, a divisor of the query heads; as many when absent."
    )
    head_dim: Width | None = Field(
        default=None, description="Width of a head; the stream's width over the query heads when absent."
    )
    sliding_window: Width | None = Field(
        default=None, description="How many keys a token sees, itself included; null for all earlier ones."
    )
    rope: Rope | None = Field(default=None, description="Rotary positions; null for none.")
    bias: bool = Field(default=False, description="Add a bias to queries, keys and values.")
    out_bias: bool = Field(default=False, description="Add a bias to the output.")
    scale: float | None = Field(
        default=None, gt=0, description="Multiplies the scores; one over the root of head_dim when absent."
    )
    softcap: float | None = Field(
        default=None, gt=0, description="Scores become softcap * tanh(score / softcap); null leaves them."
    )
    attention_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of attention weights dropped in training."
    )

    @model_validator(mode="after")
    def _heads(self) -> Self:
        if self.num_key_value_heads and self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads ({self.num_attention_heads}) must be a multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})"
            )
        return self

    @classmethod
    def samples(cls) -> Sequence[Block]:
        """Heads alone, grouped and one; windows, rotary positions, biases, a soft cap, dropout."""
        return (
            cls(num_attention_heads=4),
            cls(num_attention_heads=4, num_key_value_heads=2, sliding_window=5, rope=Rope.model_validate({})),
            cls(num_attention_heads=3, num_key_value_heads=1, head_dim=10, bias=True, out_bias=True),
            cls(num_attention_heads=4, num_key_value_heads=2, sliding_window=1, softcap=0.7, scale=0.3),
            cls(
                num_attention_heads=2,
                attention_dropout=0.5,
                rope=Rope.model_validate({"partial_rotary_factor": 0.25}),
            ),
        )

    def settle(self, site: Site) -> Self:
        """Fill in the key heads, the width of a head and the scale."""
        heads = self.num_attention_heads
        if self.head_dim is None and site.reads % heads:
            raise ValueError(f"its {heads} heads do not divide the width {site.reads}; give head_dim")
        head_dim = self.head_dim or site.reads // heads
        if self.rope and (problems := self.rope.misfits(head_dim, site.max_position_embeddings)):
            raise ValueError("; ".join(problems))
        filled = {
            "head_dim": head_dim,
            "num_key_value_heads": self.num_key_value_heads or heads,
            "scale": self.scale or head_dim**-0.5,
        }
        return self.model_copy(update=filled)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Query heads, key heads and the width of a head, of settled options."""
        assert self.num_key_value_heads is not None, "settle the options at a site first"
        assert self.head_dim is not None, "settle the options at a site first"
        return self.num_attention_heads, self.num_key_value_heads, self.head_dim

    @property
    def visibility(self) -> Causal:
        """Which keys a query sees."""
        return Causal(self.sliding_window)

    def sees(self, query: Any, key: Any) -> Any:
        """Causal, and no further back than the window."""
        return self.visibility(query, key)

    def declares(self, site: Site) -> Declared:
        """Queries, keys and values of one input; one entry a token to remember."""
        heads, groups, width = self.shape
        qkv = {"q": heads * width, "k": groups * width, "v": groups * width}
        return Declared(
            linears={
                "qkv": Linears(reads=site.reads, parts=qkv, bias=self.bias, axes=("heads", "hidden")),
                "out": Linears(
                    reads=heads * width,
                    parts={"o": site.writes},
                    bias=self.out_bias,
                    axes=("hidden", "heads"),
                ),
            },
            slot=Slot(tensors={"k": (groups, width), "v": (groups, width)}, window=self.sliding_window),
        )

    def flops(self, site: Site, context: int) -> int:
        """Scores and weighted values over the keys that the last of `context` tokens sees."""
        heads, _, width = self.shape
        return 4 * heads * width * self.visibility.count(context)

    def build(self, site: Site) -> AttentionModule:
        """The torch module."""
        from .module import AttentionModule

        return AttentionModule(self, site)
