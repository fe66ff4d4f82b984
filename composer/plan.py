"""The plan: every layer decided, every default filled, plain frozen data and no torch.

What describes an architecture is a function of the plan, and what runs it is built from the plan.
Names in a plan are the names of `named_parameters()` of the model built from it, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .block import Block, Declared, Norm, Param, Site, Slot, vector
from .errors import CallError, fail
from .spec import Draw, Spec

HeadKind = Literal["base", "causal-lm"]


@dataclass(frozen=True)
class MixerPlan:
    """One block at its place in a layer; `path` is its name there, `word` its name in the spec."""

    path: str
    word: str
    block: Block
    site: Site
    declared: Declared

    def flops(self, context: int) -> int | None:
        """FLOPs of one token as the last of `context`, linears included; None where the block cannot say."""
        own = self.block.flops(self.site, context)
        return None if own is None else own + sum(linears.flops for linears in self.declared.linears.values())


@dataclass(frozen=True)
class BranchPlan:
    """`stream = after(residual * stream + scale * post(sum of mixers(norm(stream))))`."""

    mixers: tuple[MixerPlan, ...]
    norm: Norm | None = None
    post: Norm | None = None
    after: Norm | None = None
    scale: float = 1.0
    residual: float = 1.0

    def norms(self) -> Iterator[tuple[str, Norm]]:
        """The branch's norms by name: a branch is called after its first mixer."""
        name = self.mixers[0].path
        for suffix, norm in (("", self.norm), ("-post", self.post), ("-after", self.after)):
            if norm is not None:
                yield name + suffix, norm


@dataclass(frozen=True)
class Chain:
    """Branches run one after the other over a stream of one width."""

    width: int
    branches: tuple[BranchPlan, ...]

    @property
    def mixers(self) -> tuple[MixerPlan, ...]:
        """Every block of the chain, in the order it runs."""
        return tuple(mixer for branch in self.branches for mixer in branch.mixers)

    def parameters(self, prefix: str) -> Iterator[tuple[str, Param]]:
        """Norms first, then the blocks, as the built module registers them."""
        for branch in self.branches:
            for name, norm in branch.norms():
                yield from norm_parameters(f"{prefix}norms.{name}.", norm, self.width)
        for mixer in self.mixers:
            for name, param in mixer.declared.parameters():
                yield f"{prefix}{mixer.path}.{name}", param


@dataclass(frozen=True)
class LayerPlan:
    """One slot of the expanded pattern: the host chain, and guests whose outputs join what it first reads."""

    index: int
    word: str
    host: Chain
    guests: Mapping[str, Chain] = field(default_factory=dict)

    def chains(self) -> Iterator[tuple[str, Chain]]:
        """Every chain with its prefix inside the layer: the host, then the guests."""
        yield "", self.host
        for name, chain in self.guests.items():
            yield f"{name}.", chain

    def mixers(self) -> Iterator[tuple[str, MixerPlan]]:
        """Every block of the layer by its full path inside the layer."""
        for prefix, chain in self.chains():
            for mixer in chain.mixers:
                yield prefix + mixer.path, mixer

    def slots(self) -> dict[str, Slot]:
        """What the layer remembers, by the path of the block that declares it."""
        return {path: mixer.declared.slot for path, mixer in self.mixers() if mixer.declared.slot}

    def parameters(self) -> Iterator[tuple[str, Param]]:
        """Every parameter of the layer by its name inside the layer."""
        for prefix, chain in self.chains():
            yield from chain.parameters(prefix)


@dataclass(frozen=True)
class Sizes:
    """The widths and bounds that belong to the whole model."""

    vocab_size: int
    hidden_size: int
    max_position_embeddings: int | None


@dataclass(frozen=True)
class HeadPlan:
    """What sits on the stream: nothing (`base`), or logits over the vocabulary (`causal-lm`)."""

    kind: HeadKind
    tied: bool
    bias: bool


@dataclass(frozen=True)
class Plan:
    """One architecture, decided.  `spec` is what it was resolved from; equal plans may come from other specs."""

    name: str
    sizes: Sizes
    norm: Norm
    layers: tuple[LayerPlan, ...]
    head: HeadPlan
    init: Mapping[str, Draw]
    spec: Spec = field(compare=False, repr=False)

    def parameters(self) -> dict[str, Param]:
        """Every parameter by name, each once."""
        return dict(self._parameters())

    def _parameters(self) -> Iterator[tuple[str, Param]]:
        vocab, width = self.sizes.vocab_size, self.sizes.hidden_size
        table = Param(shape=(vocab, width), init="embedding", axes=("vocab", "hidden"), quantizable=True)
        yield "embed.weight", table
        for layer in self.layers:
            for name, param in layer.parameters():
                yield f"layers.{layer.index}.{name}", param
        yield from norm_parameters("norm.", self.norm, width)
        if self.head.kind == "causal-lm" and not self.head.tied:
            yield "head.weight", table.model_copy(update={"init": "linear"})
        if self.head.kind == "causal-lm" and self.head.bias:
            yield "head.bias", Param(shape=(vocab,), init="bias", axes=("vocab",))

    @property
    def parameter_count(self) -> int:
        """Number of unique parameters."""
        return sum(param.count for _, param in self._parameters())

    def flops(self, context: int) -> int | None:
        """FLOPs of one token as the last of `context` tokens, 2 a multiply-add; None if a block cannot say."""
        check_numbers(context=context)
        total = 2 * self.sizes.vocab_size * self.sizes.hidden_size if self.head.kind == "causal-lm" else 0
        for layer in self.layers:
            for _, mixer in layer.mixers():
                flops = mixer.flops(context)
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


def norm_parameters(prefix: str, norm: Norm, width: int) -> Iterator[tuple[str, Param]]:
    """The weight of a norm and, for a LayerNorm, its bias."""
    yield f"{prefix}weight", vector(width, "norm", ("hidden",))
    if norm.kind == "layer":
        yield f"{prefix}bias", vector(width, "bias", ("hidden",))
