"""The plan: every layer decided, every default filled, plain frozen data and no torch.

What describes an architecture is a function of the plan, and what runs it is built from the plan.
Names in a plan are the names of `named_parameters()` of the model built from it, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from .block import Linears, Norm, Param
from .chain import Chain, LayerPlan, MixerPlan, Trunk, norm_parameters, prefixed, shared_parameters
from .errors import CallError, fail
from .spec import Draw, Spec

HeadKind = Literal[
    "base", "causal-lm", "sequence-classification", "token-classification", "question-answering"
]
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]
SPAN = 2
"""Scores that question answering gives a token: that an answer begins there, that it ends there."""


@dataclass(frozen=True)
class Sizes:
    """The widths and bounds that belong to the whole model; `embedding_size` is that of the token table."""

    vocab_size: int
    hidden_size: int
    max_position_embeddings: int | None
    embedding_size: int


@dataclass(frozen=True)
class EmbeddingPlan:
    """How tokens become the stream; `positions` is the offset of a learned table, None where there is none."""

    scale: float | None = None
    positions: int | None = None
    padding: int | None = None
    dropout: float = 0.0


@dataclass(frozen=True)
class HeadPlan:
    """What sits on the stream: nothing (`base`), or a linear map to the vocabulary, to classes or to a span.

    `tied` and `softcap` are about the vocabulary, whatever the head.  `labels` are the names of the classes of
    a classification, `problem_type` what its loss is (decided by the first labels where None), `dropout` that
    in front of token classification, `pad_token_id` what sequence classification looks for the last token before.
    """

    kind: HeadKind
    tied: bool
    bias: bool
    softcap: float | None = None
    labels: tuple[str, ...] | None = None
    problem_type: ProblemType | None = None
    dropout: float | None = None
    pad_token_id: int | None = None

    def width(self, vocab_size: int) -> int:
        """Scores for one token; 0 where there is no head."""
        if self.labels is not None:
            return len(self.labels)
        return {"base": 0, "causal-lm": vocab_size}.get(self.kind, SPAN)


@dataclass(frozen=True)
class Plan:
    """One architecture, decided.  `spec` is what it was resolved from; equal plans may come from other specs.

    `norm` stands between the last layer and the head, None for nothing.
    """

    name: str
    sizes: Sizes
    embedding: EmbeddingPlan
    norm: Norm | None
    layers: tuple[LayerPlan, ...]
    head: HeadPlan
    init: Mapping[str, Draw]
    layerdrop: float = 0.0
    spec: Spec = field(compare=False, repr=False, kw_only=True)

    @cached_property
    def shared(self) -> Mapping[str, tuple[Chain | MixerPlan, ...]]:
        """What is shared, by word: one chain or block for every copy that has a use."""
        found: dict[str, dict[int, Chain | MixerPlan]] = {}
        for layer in self.layers:
            for trunk, part in layer.trunks():
                found.setdefault(trunk.word, {}).setdefault(trunk.copy, part)
        return {word: tuple(copies[copy] for copy in sorted(copies)) for word, copies in found.items()}

    @cached_property
    def uses(self) -> Mapping[str, tuple[tuple[int, int], ...]]:
        """The uses of every shared word in order: (layer, copy)."""
        found: dict[str, list[tuple[int, int]]] = {}
        for layer in self.layers:
            for trunk, _ in layer.trunks():
                found.setdefault(trunk.word, []).append((layer.index, trunk.copy))
        return {word: tuple(uses) for word, uses in found.items()}

    @property
    def projections(self) -> Mapping[str, Linears]:
        """Linear maps between the token table and the stream, where their widths differ."""
        size, width = self.sizes.embedding_size, self.sizes.hidden_size
        if size == width:
            return {}
        return {
            "project_in": Linears(reads=size, parts={"project_in": width}),
            "project_out": Linears(reads=width, parts={"project_out": size}),
        }

    @property
    def frozen(self) -> frozenset[str]:
        """The names of parameters that do not learn: what a frozen adapter adds to."""
        return frozenset(name for layer in self.layers for name in layer.frozen(f"layers.{layer.index}."))

    def parameters(self) -> dict[str, Param]:
        """Every parameter by name, each once."""
        return dict(self._parameters())

    def _parameters(self) -> Iterator[tuple[str, Param]]:
        yield from self._embedding()
        for word, copies in self.shared.items():
            for copy, part in enumerate(copies):
                yield from prefixed(Trunk(word, copy).prefix, shared_parameters(part))
        for layer in self.layers:
            yield from prefixed(f"layers.{layer.index}.", layer.parameters())
        if self.norm:
            yield from prefixed("norm.", norm_parameters(self.norm, self.sizes.hidden_size))
        yield from prefixed("head.", self._head())

    def _embedding(self) -> Iterator[tuple[str, Param]]:
        shape = (self.sizes.vocab_size, self.sizes.embedding_size)
        yield (
            "embed.weight",
            Param(shape=shape, init="embedding", axes=("vocab", "hidden"), quantizable=True),
        )
        if self.embedding.positions is not None:
            assert self.sizes.max_position_embeddings is not None, "checked when the spec was resolved"
            rows = self.sizes.max_position_embeddings + self.embedding.positions
            shape = (rows, self.sizes.hidden_size)
            yield "positions.weight", Param(shape=shape, init="position", axes=(None, "hidden"))
        for linears in self.projections.values():
            yield from linears.parameters()

    def _head(self) -> Iterator[tuple[str, Param]]:
        width = self.head.width(self.sizes.vocab_size)
        vocabulary = self.head.kind == "causal-lm"
        axis = "vocab" if vocabulary else None
        if width and not (vocabulary and self.head.tied):
            shape = (width, self.sizes.embedding_size)
            yield "weight", Param(shape=shape, init="linear", axes=(axis, "hidden"), quantizable=vocabulary)
        if width and self.head.bias:
            yield "bias", Param(shape=(width,), init="bias", axes=(axis,))

    @property
    def parameter_count(self) -> int:
        """Number of unique parameters."""
        return sum(param.count for _, param in self._parameters())

    @property
    def used_parameter_count(self) -> int:
        """Number of parameters that a token meets: shared ones once for every use, not those of experts it skips."""
        again = -sum(chain.skipped for layer in self.layers for _, chain in layer.chains())
        for word, copies in self.shared.items():
            sizes = [sum(param.count for _, param in shared_parameters(part)) for part in copies]
            again += sum(sizes[copy] for _, copy in self.uses[word]) - sum(sizes)
        return self.parameter_count + again

    def flops(self, context: int) -> int | None:
        """FLOPs of one token as the last of `context` tokens, 2 a multiply-add; None if a block cannot say."""
        check_numbers(context=context)
        sizes = self.sizes
        total = 2 * self.head.width(sizes.vocab_size) * sizes.embedding_size
        total += sum(linears.flops for linears in self.projections.values())
        for layer in self.layers:
            flops = layer.flops(context)
            if flops is None:
                return None
            total += flops
        return total

    def cache_bytes(self, context: int, batch: int = 1, rollback: int = 0, element_size: int = 2) -> int:
        """Bytes that a cache for `batch` rows of up to `context` tokens allocates; elements of 2 bytes are bf16."""
        check_numbers(context=context, batch=batch, rollback=rollback, element_size=element_size)
        slots = (slot for layer in self.layers for slot in layer.slots().values())
        return batch * sum(slot.bytes(context, rollback, element_size) for slot in slots)


def check_numbers(**given: int) -> None:
    """Sizes that a cost is asked for.  Raises CallError E715."""
    for name, value in given.items():
        if type(value) is not int or value < 0:
            hint = "a context is a number of tokens, a batch one of rows"
            fail(
                CallError,
                "E715",
                f"{name} must be a whole number from 0, found {value!r}",
                path=name,
                hint=hint,
            )
