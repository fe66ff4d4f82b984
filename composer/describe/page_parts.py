"""Every parameter of a plan in its part, counted once and as often as it is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..block import skipped_in
from ..chain import Chain
from ..plan import Plan
from .page_text import code

TABLE, NORMS, FINAL, HEAD, ADAPTERS, OUT = (
    "embedding", "norms of the layers", "final norm", "head", "adapters", "maps of the guests",
)  # fmt: skip


@dataclass
class Count:
    """Parameters of a part: each once, and each as often as a token meets it, which may be never."""

    kind: str
    unique: int = 0
    used: int = 0


def counts(plan: Plan) -> dict[str, Count]:
    """The parts of a model by name, in the order in which a token meets them; parts that are empty are left out."""
    sizes = {name: param.count for name, param in plan.parameters().items()}
    parts = {TABLE: Count(""), **{code(word): Count(kind) for word, kind in words(plan).items()}}
    parts |= {name: Count("") for name in (ADAPTERS, OUT, NORMS, FINAL, HEAD)}
    seen: set[str] = set()
    for name, part in owners(plan, sizes):
        parts[part].used += sizes[name]
        parts[part].unique += 0 if name in seen else sizes[name]
        seen.add(name)
    for layer in plan.layers:
        for _, chain in layer.chains():
            for mixer in chain.mixers:
                parts[code(mixer.word)].used -= mixer.skipped
            parts[ADAPTERS].used -= skipped_in(chain.adapting())
    return {name: count for name, count in parts.items() if count.unique or name == HEAD}


def words(plan: Plan) -> dict[str, str]:
    """The kind of every block, by its name in the spec."""
    mixers = (mixer for layer in plan.layers for _, mixer in layer.mixers())
    return {mixer.word: mixer.block.kind for mixer in mixers}


def owners(plan: Plan, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every parameter with its part, again for every use."""
    every = list(names)
    for start, part in starts(plan):
        yield from ((name, part) for name in every if name.startswith(start))


def starts(plan: Plan) -> Iterator[tuple[str, str]]:
    """How the names of each part begin, again for every use."""
    yield from ((f"{name}.", TABLE) for name in ("embed", "positions", "project_in", "project_out"))
    for layer in plan.layers:
        for path, chain in layer.chains():
            yield from chain_starts(chain, f"layers.{layer.index}.{path}")
    yield from (("norm.", FINAL), ("head.", HEAD))


def chain_starts(chain: Chain, own: str) -> Iterator[tuple[str, str]]:
    """The same of one chain: norms and blocks may be shared, adapters and the map out are its own."""
    home = chain.trunk.prefix if chain.trunk else own
    yield f"{home}norms.", NORMS
    for mixer in chain.mixers:
        yield mixer.trunk.prefix if mixer.trunk else f"{home}{mixer.path}.", code(mixer.word)
    if chain.adapters:
        yield f"{own}adapters.", ADAPTERS
    if chain.out:
        yield f"{own}out.", OUT
