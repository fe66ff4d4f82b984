"""What a plugin offers: a block is its options, described without torch and built with it.

A block declares its parameters, what it must remember and what it costs as pure functions of its options
and of the place it stands in (`Site`).  The host counts, draws, loads, packs and documents from these
declarations; `composer.testing.check_block` holds the built module to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from composer.nn.layer import Mixer

API = "1.0"
"""Version of the plugin interface that this host speaks, as "major.minor".

A block written for 1.2 runs on every host of 1.2 or later that is no 2.x.
"""


class Frozen(BaseModel):
    """Plain data that never changes: unknown keys, wrong types and non-finite numbers are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Norm(Frozen):
    """A normalisation of the stream over its last dimension, computed in float32."""

    kind: Literal["rms", "layer"] = Field(description="RMSNorm (no mean, no bias) or LayerNorm.")
    eps: float = Field(gt=0, description="Added to the variance before the square root.")
    affine: bool = Field(default=True, description="Has a weight and, as a LayerNorm, a bias.")
    offset: float = Field(
        default=0.0, description="Added to the weight of an RMSNorm: 1 for weights that are drawn around 0."
    )
    cast: Literal["before", "after"] = Field(
        default="before",
        description="Whether an RMSNorm goes back to the model's dtype before it multiplies by the weight, or after.",
    )

    @model_validator(mode="after")
    def _rms_alone(self) -> Self:
        if self.kind == "layer" and (self.offset or self.cast != "before"):
            raise ValueError("a LayerNorm takes no 'offset' and no 'cast': its weight multiplies in float32")
        if not self.affine and self.offset:
            raise ValueError("a norm that is not affine has no weight to add 'offset' to")
        return self


class Param(Frozen):
    """One tensor: its shape, what its dimensions mean, and how it is drawn.

    `init` names a kind of tensor in the spec's `init`; `axes` names the dimension of each axis that may be
    sharded or is otherwise meaningful; `dtype` is "model" or a fixed one.  The host gives it that dtype when it builds
    or loads a model, whatever the module made, so `__init__` names none; the block goes back to the stream's dtype
    itself where it uses a float32 one, and a later `model.to(dtype)` of torch converts it as all others.
    """

    shape: tuple[int, ...]
    init: str = "linear"
    axes: tuple[str | None, ...] = ()
    dtype: Literal["model", "float32"] = "model"
    quantizable: bool = False

    @property
    def count(self) -> int:
        """Number of elements."""
        total = 1
        for size in self.shape:
            total *= size
        return total


@lru_cache(maxsize=1024)  # a deep model asks for the same few again and again
def matrix(writes: int, reads: int, axes: tuple[str | None, ...], init: str = "linear") -> Param:
    """The weight of a linear map."""
    return Param(shape=(writes, reads), axes=axes, init=init, quantizable=True)


@lru_cache(maxsize=1024)
def vector(width: int, init: str, axes: tuple[str | None, ...]) -> Param:
    """One number for each channel."""
    return Param(shape=(width,), axes=axes, init=init)


class Linears(Frozen):
    """Several linear maps that read the same input, stored apart and called as one.

    `parts` maps a name to its output width, in the order of the outputs.  `axes` names the (output, input)
    dimensions, `init` the kind of tensor that the weights are drawn as.  `used` is (k, n) where every token passes
    k of n groups like this one, as it does of experts.
    """

    reads: int
    parts: dict[str, int]
    bias: bool = False
    init: str = "linear"
    axes: tuple[str | None, str | None] = (None, None)
    used: tuple[int, int] = (1, 1)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not 1 <= self.used[0] <= self.used[1]:
            raise ValueError(f"used is (k, n), k of n groups that a token passes, found {self.used}")
        return self

    def parameters(self) -> Iterator[tuple[str, Param]]:
        """`(part.weight, Param)` and `(part.bias, Param)`, in the order of the built module."""
        for part, width in self.parts.items():
            yield f"{part}.weight", matrix(width, self.reads, self.axes, self.init)
            if self.bias:
                yield f"{part}.bias", vector(width, "bias", self.axes[:1])

    @property
    def count(self) -> int:
        """Number of parameters."""
        return (self.reads + self.bias) * sum(self.parts.values())

    @property
    def flops(self) -> int:
        """Two for every multiply-add of one token that passes."""
        return 2 * self.reads * sum(self.parts.values())


def passed(costs: Iterable[tuple[Linears, int]]) -> int:
    """What groups of linears cost a token, each so much if it is passed."""
    sums: dict[tuple[int, int], int] = {}
    for linears, cost in costs:
        sums[linears.used] = sums.get(linears.used, 0) + cost
    return sum(cost * some // every for (some, every), cost in sums.items())


def flops_of(groups: Iterable[Linears]) -> int:
    """FLOPs of a token in groups of linears, of which it may pass some only."""
    return passed((linears, linears.flops) for linears in groups)


def skipped_in(groups: Iterable[Linears]) -> int:
    """Parameters of groups of linears that a token does not meet."""
    every = list(groups)
    return sum(linears.count for linears in every) - passed((linears, linears.count) for linears in every)


class Slot(Frozen):
    """What a block must remember of earlier tokens; the host owns the tensors.

    A `kv` slot keeps one entry a token for each tensor in `tensors` (name to shape per token, heads first), in
    the model's dtype; with a `window` only the newest tokens are kept, in a ring.  A `recurrent` slot keeps one
    float32 tensor of a fixed shape a row for each name, zero before the first token.
    """

    kind: Literal["kv", "recurrent"] = "kv"
    tensors: dict[str, tuple[int, ...]]
    window: int | None = None
    reads: int = Field(default=0, description="Width of what a recurrent block reads; the plan fills it in.")

    @property
    def elements(self) -> int:
        """Numbers in one entry of a `kv` slot, or in the whole state of a row."""
        return sum(Param(shape=shape).count for shape in self.tensors.values())

    def capacity(self, max_length: int, rollback: int = 0) -> int:
        """Tokens that are allocated for a sequence of up to `max_length` tokens."""
        if self.window is None:
            return max_length
        return min(max_length, self.window - 1 + max(1, rollback))

    def logged(self, max_length: int | None, rollback: int) -> int:
        """How many inputs of a recurrent block are kept for a row, to go back `rollback` tokens."""
        return 2 * rollback if max_length is None else min(max_length, 2 * rollback)

    def bytes(self, max_length: int, rollback: int, element_size: int) -> int:
        """Bytes of one row, as allocated; to go back, a recurrent slot keeps a second state and inputs."""
        if self.kind == "recurrent":
            states = 4 * self.elements * (2 if rollback else 1)
            return states + self.logged(max_length, rollback) * self.reads * element_size
        return self.elements * self.capacity(max_length, rollback) * element_size


class Site(Frozen):
    """Where a block stands: the parent owns the widths."""

    reads: int = Field(description="Width of what the block reads.")
    writes: int = Field(description="Width of what the block must return.")
    max_position_embeddings: int | None = Field(
        default=None, description="Longest sequence the model is meant for, None when open."
    )


class Declared(Frozen):
    """Everything a block says about itself at a site: linears and parameters by path, and its slot."""

    linears: dict[str, Linears] = {}
    params: dict[str, Param] = {}
    slot: Slot | None = None

    def parameters(self) -> Iterator[tuple[str, Param]]:
        """Every parameter by its name in the built module: as torch lists them, a module's own come first."""
        yield from ((name, param) for name, param in self.params.items() if "." not in name)
        for group, linears in self.linears.items():
            for name, param in linears.parameters():
                yield f"{group}.{name}", param
        yield from ((name, param) for name, param in self.params.items() if "." in name)


@dataclass(frozen=True)
class Causal:
    """Which keys a query sees: itself and earlier ones, with a window only the newest `window` of them."""

    window: int | None = None

    def __call__(self, query: Any, key: Any) -> Any:
        """True where the token at position `query` may use the one at `key`; ints or integer tensors."""
        seen = key <= query
        return seen if self.window is None else seen & (key > query - self.window)

    def count(self, context: int) -> int:
        """How many keys the last of `context` tokens sees."""
        return context if self.window is None else min(context, self.window)


class Block(Frozen):
    """The options of one kind of block; a plugin subclasses it and offers the subclass.

    The fields are the options users write, each with a description.  `kind` is the name in a spec and `api`
    the version of this interface that the block is written for; one that says nothing is written for 1.0.
    """

    api: ClassVar[str] = "1.0"
    kind: ClassVar[str]

    @classmethod
    def samples(cls) -> Sequence[Block | tuple[Block, Site]]:
        """Blocks with small options, or such with the sites they need: what the contract kit tries.

        The block without options where it takes none; else nothing until the plugin says.
        """
        return () if any(field.is_required() for field in cls.model_fields.values()) else (cls(),)

    def settle(self, site: Site) -> Self:
        """The same options with every default that depends on the site filled in.

        Raises ValueError with a sentence when the options cannot stand at this site.
        """
        return self

    def declares(self, site: Site) -> Declared:
        """Linears, parameters and memory at this site, for settled options."""
        raise NotImplementedError(f"{type(self).__name__} does not declare itself")

    def flops(self, site: Site, context: int) -> int | None:
        """FLOPs of one token beyond its linears, as the last of `context` tokens; None where unknown.

        Products of matrices and convolutions count, two a multiply-add, with every key that the token sees; what
        is computed element by element, norms and softmax do not.
        """
        return None

    def sees(self, query: Any, key: Any) -> Any:
        """Whether what the token at position `query` returns may depend on the one at `key`; ints or tensors."""
        return Causal()(query, key)

    def build(self, site: Site) -> Mixer:
        """The torch module of these settled options; torch is imported here and not before."""
        raise NotImplementedError(f"{type(self).__name__} does not build a module")


Width = Annotated[int, Field(ge=1, le=2**24)]
"""A positive size that a tensor can have."""
