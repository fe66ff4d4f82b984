"""The parts of a plan: blocks at their places, branches, chains of branches, layers. Plain frozen data, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .block import Block, Declared, Linears, Norm, Param, Site, Slot, flops_of, skipped_in, vector
from .plugins.calling import flops

Parameters = Iterator[tuple[str, Param]]


@dataclass(frozen=True)
class Trunk:
    """One set of weights that several uses share: copy number `copy` of the word `word`."""

    word: str
    copy: int

    @property
    def prefix(self) -> str:
        """What the names of its parameters begin with."""
        return f"shared.{self.word}.{self.copy}."


@dataclass(frozen=True)
class MixerPlan:
    """One block at its place in a layer; `path` is its name there, `word` its name in the spec.

    With a `trunk` its weights are shared and belong to the model, not to the layer.
    """

    path: str
    word: str
    block: Block
    site: Site
    declared: Declared
    trunk: Trunk | None = None

    @property
    def slot(self) -> Slot | None:
        """What the block remembers here."""
        slot = self.declared.slot
        if slot is None or slot.kind == "kv":
            return slot
        return slot.model_copy(update={"reads": self.site.reads})

    def flops(self, context: int) -> int | None:
        """FLOPs of one token as the last of `context`, linears included; None where the block cannot say."""
        own = flops(self.block, self.site, context)
        return None if own is None else own + flops_of(self.declared.linears.values())

    @property
    def skipped(self) -> int:
        """Parameters that a token does not meet, those of experts that are not its own."""
        return skipped_in(self.declared.linears.values())


@dataclass(frozen=True)
class BranchPlan:
    """`stream = after(residual * stream + scale * post(sum of mixers(norm(stream))))`.

    `reads` and `writes` are the widths of the stream before and behind it; they differ only where `residual`
    is 0.
    """

    mixers: tuple[MixerPlan, ...]
    norm: Norm | None = None
    post: Norm | None = None
    after: Norm | None = None
    scale: float = 1.0
    residual: float = 1.0
    dropout: float = 0.0
    reads: int = 0
    writes: int = 0

    def norms(self) -> Iterator[tuple[str, Norm, int]]:
        """The branch's norms by name, with their widths: a branch is called after its first mixer."""
        name = self.mixers[0].path
        for suffix, norm, width in (
            ("", self.norm, self.reads),
            ("-post", self.post, self.writes),
            ("-after", self.after, self.writes),
        ):
            if norm is not None:
                yield name + suffix, norm, width


@dataclass(frozen=True)
class AdapterPlan:
    """What is added to a group of linears, or to a part of one: `scale * up(down(dropout(x)))`.

    `mixer` and `group` say where; `up` has the parts that it adds to.
    """

    mixer: str
    group: str
    part: str | None
    down: Linears
    up: Linears
    scale: float = 1.0
    dropout: float = 0.0
    frozen: bool = False

    @property
    def path(self) -> str:
        """Its name beside the chain."""
        return ".".join(filter(None, (self.mixer, self.group, self.part)))

    def parameters(self) -> Parameters:
        """The two maps of every use."""
        for name, param in self.down.parameters():
            yield name, param
        for name, param in self.up.parameters():
            yield f"up.{name}", param


@dataclass(frozen=True)
class Chain:
    """Branches run one after the other over a stream of `width` channels.

    A guest's stream is what `reads` names, side by side, and `out` maps what comes of it to the width of the
    model.  With a `trunk` norms and blocks are shared; `adapters` and `out` belong to the use.
    """

    width: int
    branches: tuple[BranchPlan, ...]
    reads: tuple[str, ...] = ("stream",)
    out: Linears | None = None
    adapters: tuple[AdapterPlan, ...] = ()
    trunk: Trunk | None = None

    @property
    def mixers(self) -> tuple[MixerPlan, ...]:
        """Every block of the chain, in the order it runs."""
        return tuple(mixer for branch in self.branches for mixer in branch.mixers)

    def norms(self) -> Iterator[tuple[str, Norm, int]]:
        """Every norm of the chain by name, with its width."""
        for branch in self.branches:
            yield from branch.norms()

    def trunk_parameters(self) -> Parameters:
        """What all uses of a chain have together: norms first, then the blocks, as the built module lists them."""
        for name, norm, width in self.norms():
            yield from prefixed(f"norms.{name}.", norm_parameters(norm, width))
        for mixer in self.mixers:
            if mixer.trunk is None:
                yield from prefixed(f"{mixer.path}.", mixer.declared.parameters())

    def use_parameters(self) -> Parameters:
        """What every use of a chain has of its own."""
        for adapter in self.adapters:
            yield from prefixed(f"adapters.{adapter.path}.", adapter.parameters())
        if self.out:
            yield from prefixed("", self.out.parameters())

    def parameters(self) -> Parameters:
        """What stands under the layer."""
        if self.trunk is None:
            yield from self.trunk_parameters()
        yield from self.use_parameters()

    def flops(self, context: int) -> int | None:
        """FLOPs of one token as the last of `context`; None where a block cannot say."""
        found = [mixer.flops(context) for mixer in self.mixers]
        known = [each for each in found if each is not None]
        out = self.out.flops if self.out else 0
        own = sum(known) + out + flops_of(self.adapting())
        return own if len(known) == len(found) else None

    def adapting(self) -> Iterator[Linears]:
        """The maps of all adapters."""
        for adapter in self.adapters:
            yield from (adapter.down, adapter.up)

    @property
    def skipped(self) -> int:
        """Parameters, shared ones too, that a token does not meet in this use."""
        return sum(mixer.skipped for mixer in self.mixers) + skipped_in(self.adapting())


@dataclass(frozen=True)
class LayerPlan:
    """One slot of the expanded pattern: the host chain, and guests whose outputs join what its word reads.

    `joins` are the branches of the host that guests join where that is not the first.
    """

    index: int
    word: str
    host: Chain
    guests: Mapping[str, Chain] = field(default_factory=dict)
    joins: Mapping[str, int] = field(default_factory=dict)

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
        return {path: mixer.slot for path, mixer in self.mixers() if mixer.slot}

    def parameters(self) -> Parameters:
        """Every parameter that the layer owns, by its name inside the layer."""
        for prefix, chain in self.chains():
            yield from prefixed(prefix, chain.parameters())

    def frozen(self, prefix: str) -> Iterator[str]:
        """The parameters that frozen adapters add to; `prefix` is that of the layer."""
        for inner, chain in self.chains():
            home = chain.trunk.prefix if chain.trunk else prefix + inner
            for adapter in chain.adapters:
                mixer = next(each for each in chain.mixers if each.path == adapter.mixer)
                owner = mixer.trunk.prefix if mixer.trunk else f"{home}{mixer.path}."
                for name, _ in mixer.declared.linears[adapter.group].parameters() if adapter.frozen else ():
                    if adapter.part in (None, name.partition(".")[0]):
                        yield f"{owner}{adapter.group}.{name}"

    def flops(self, context: int) -> int | None:
        """FLOPs of one token as the last of `context`; None where a block cannot say."""
        total = 0
        for _, chain in self.chains():
            flops = chain.flops(context)
            if flops is None:
                return None
            total += flops
        return total

    def trunks(self) -> Iterator[tuple[Trunk, Chain | MixerPlan]]:
        """Everything shared that the layer uses, in the order it runs: guests come before their host."""
        for chain in (*self.guests.values(), self.host):
            if chain.trunk:
                yield chain.trunk, chain
            for mixer in chain.mixers:
                if mixer.trunk:
                    yield mixer.trunk, mixer


def shared_parameters(part: Chain | MixerPlan) -> Parameters:
    """The parameters that stand once for all uses of a shared chain or block."""
    return part.trunk_parameters() if isinstance(part, Chain) else part.declared.parameters()


def prefixed(prefix: str, parameters: Iterable[tuple[str, Param]]) -> Parameters:
    """The same parameters under longer names."""
    for name, param in parameters:
        yield prefix + name, param


def norm_parameters(norm: Norm, width: int) -> Parameters:
    """The weight of a norm and, for a LayerNorm, its bias."""
    if norm.affine:
        yield "weight", vector(width, "norm", ("hidden",))
        if norm.kind == "layer":
            yield "bias", vector(width, "bias", ("hidden",))
