"""An architecture in numbers: parameters by part, FLOPs of a token, bytes of a cache, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..block import Param, skipped_in
from ..chain import MixerPlan, Trunk
from ..plan import Plan
from .runs import Run, runs

DEFAULT_CONTEXT = 4096
EMBEDDING = ("embed.", "positions.", "project_in.", "project_out.")
ELEMENT_SIZES = {"bfloat16": 2, "float16": 2, "float32": 4, "float64": 8}
"""Bytes of one element, by the names of dtypes."""


@dataclass(frozen=True)
class Part:
    """One part of the model: its unique parameters in all layers together, and those that a token meets.

    `used_parameters` counts what is shared once for every use, and not what a token skips.
    """

    name: str
    kind: str
    parameters: int
    used_parameters: int


@dataclass(frozen=True)
class Row:
    """A run of equal layers; the numbers are those of one layer."""

    first: int
    last: int
    word: str
    guests: tuple[str, ...]
    blocks: tuple[str, ...]
    parameters: int
    flops: int | None
    cache_bytes: int


@dataclass(frozen=True)
class Summary:
    """What a plan costs. `flops` is for one token as the last of `context`; None where a block cannot say.

    `parameters` counts each once, `used_parameters` as often as a token meets them.
    """

    name: str
    layers: int
    vocab_size: int
    hidden_size: int
    max_position_embeddings: int | None
    head: str
    tied: bool
    parameters: int
    used_parameters: int
    published_parameters: int | None
    dtype: str
    weight_bytes: int
    context: int
    batch: int
    flops: int | None
    cache_bytes: int
    parts: tuple[Part, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def summarise(plan: Plan, context: int | None = None, batch: int = 1, dtype: str = "bfloat16") -> Summary:
    """The numbers of a plan for `batch` rows of `context` tokens, by default as many as it is meant for.

    `dtype` (a key of `ELEMENT_SIZES`) is that of weights and keys and values.
    """
    context = context or plan.sizes.max_position_embeddings or DEFAULT_CONTEXT
    size, tensors = ELEMENT_SIZES[dtype], plan.parameters().values()
    published = plan.spec.metadata.get("parameters")
    return Summary(
        name=plan.name,
        layers=len(plan.layers),
        vocab_size=plan.sizes.vocab_size,
        hidden_size=plan.sizes.hidden_size,
        max_position_embeddings=plan.sizes.max_position_embeddings,
        head=plan.head.kind,
        tied=plan.head.tied,
        parameters=plan.parameter_count,
        used_parameters=plan.used_parameter_count,
        published_parameters=published if isinstance(published, int) else None,
        dtype=dtype,
        weight_bytes=sum(param.count * ELEMENT_SIZES.get(param.dtype, size) for param in tensors),
        context=context,
        batch=batch,
        flops=plan.flops(context),
        cache_bytes=plan.cache_bytes(context, batch, element_size=size),
        parts=tuple(parts(plan)),
        rows=tuple(row(run, context, batch, size) for run in runs(plan)),
    )


def row(run: Run, context: int, batch: int, size: int) -> Row:
    """One line of the table."""
    layer = run.layer
    return Row(
        first=run.first,
        last=run.last,
        word=layer.word,
        guests=tuple(layer.guests),
        blocks=tuple(described(mixer) for _, mixer in layer.mixers()),
        parameters=sum(param.count for _, param in layer.parameters()),
        flops=layer.flops(context),
        cache_bytes=batch * sum(slot.bytes(context, 0, size) for slot in layer.slots().values()),
    )


def described(mixer: MixerPlan) -> str:
    """A block by its name in the spec, its kind, and how far it remembers."""
    name = mixer.word if mixer.word == mixer.block.kind else f"{mixer.word}: {mixer.block.kind}"
    slot = mixer.declared.slot
    return f"{name}, window {slot.window}" if slot and slot.window else name


def parts(plan: Plan) -> Iterator[Part]:
    """Every part once: the tables, each block by its word, adapters, the norms, the head.

    Each counts once, and beside that as often as a token meets it.
    """
    tensors = plan.parameters()
    yield whole("embedding", "embedding", sum(size_under(name, tensors) for name in EMBEDDING))
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for name, kind, unique, used in pieces(plan):
        before = found.get((name, kind), (0, 0))
        found[name, kind] = before[0] + unique, before[1] + used
    for (name, kind), sizes in found.items():
        yield Part(name, kind, *sizes)
    layers = size_under("layers.", tensors) + size_under("shared.", tensors)
    again = plan.used_parameter_count - plan.parameter_count
    unique, used = (sum(sizes[column] for sizes in found.values()) for column in (0, 1))
    yield Part("norms of the layers", "norm", layers - unique, layers + again - used)
    yield whole("final norm", "norm", size_under("norm.", tensors))
    kind = f"{plan.head.kind}, tied" if plan.head.tied else plan.head.kind
    yield whole("head", kind, size_under("head.", tensors))


def whole(name: str, kind: str, size: int) -> Part:
    """A part that is used once."""
    return Part(name, kind, size, size)


def pieces(plan: Plan) -> Iterator[tuple[str, str, int, int]]:
    """Name, kind and parameters of everything in the layers but the norms: new ones, and all that run there."""
    seen: set[Trunk] = set()
    for layer in plan.layers:
        for name, chain in layer.chains():
            fresh = chain.trunk is None or chain.trunk not in seen
            for mixer in chain.mixers:
                again = mixer.trunk in seen if mixer.trunk else not fresh
                size = size_of(mixer)
                yield mixer.word, mixer.block.kind, 0 if again else size, size - mixer.skipped
                seen |= {mixer.trunk} if mixer.trunk else set()
            seen |= {chain.trunk} if chain.trunk else set()
            if own := sum(param.count for _, param in chain.use_parameters()):
                met = own - skipped_in(chain.adapting())
                yield f"{name.rstrip('.') or 'layers'}: each use", "linear", own, met


def size_of(mixer: MixerPlan) -> int:
    """Parameters of one block."""
    return sum(param.count for _, param in mixer.declared.parameters())


def size_under(prefix: str, tensors: Mapping[str, Param]) -> int:
    """Parameters whose names begin in the same way."""
    return sum(param.count for name, param in tensors.items() if name.startswith(prefix))
