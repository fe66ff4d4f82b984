"""The residual wiring, written once: blocks, their norms, branches, guests, shared weights.

B batch, T tokens in this call (rows right-padded), D width of the stream, W of what a chain reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.block import Norm, Slot
from composer.chain import BranchPlan, Chain, LayerPlan, MixerPlan, Trunk

from .adapters import Adapter, put
from .functional import layer_norm, rms_norm
from .linears import Leaf, LinearGroup
from .replay import run
from .slots import Keys, KeyValues, own_keys
from .states import Live, States, zeros
from .step import Step

Record = Callable[[str, Tensor], None]
Memory = KeyValues | States
Slots = Mapping[str, Memory]
Adapters = Mapping[str, tuple[Adapter, ...]]
Shared = Mapping[str, nn.Module]
Guests = Callable[[int, Tensor], Tensor | None]
"""What joins the stream that a branch reads, by the branch's number."""
NONE: Adapters = {}


class At:
    """What a block sees besides the stream: the step, its own slot, the adapters of this use, who listens."""

    def __init__(
        self,
        step: Step,
        slot: Memory | Live | None = None,
        record: Record | None = None,
        adapters: Adapters = NONE,
        declared: Slot | None = None,
    ) -> None:
        self.step, self.slot, self._record = step, slot, record
        self._adapters, self._declared = adapters, declared

    def keys(self, *values: Tensor) -> Keys:
        """Remember this call's (B, heads, T, dim) values where memory is wanted, and return all that count."""
        if self.slot is None:
            return own_keys(self.step, values)
        assert isinstance(self.slot, KeyValues), "the block declares another kind of slot"
        keys = self.slot.put(self.step, values)
        if keys.values[0].dtype == values[0].dtype:
            return keys
        return replace(keys, values=tuple(held.to(values[0].dtype) for held in keys.values))  # autocast

    @property
    def fresh(self) -> bool:
        """Whether no row remembers anything, so that every state is zero."""
        return self.slot is None or not any(self.step.starts)

    def state(self) -> Mapping[str, Tensor]:
        """(B, *shape) float32 for each name of the recurrent slot: the state before this call's tokens.

        They may be changed in place where no gradient is wanted, if they are handed to `remember` then.
        """
        if self.slot is None:
            assert self._declared is not None, "the block declares no slot"
            return zeros(self._declared, self.step.embedded.shape[0], self.step.device)
        assert isinstance(self.slot, Live), "the block declares another kind of slot"
        return self.slot.read()

    def remember(self, **state: Tensor) -> None:
        """Keep the state behind the real tokens of this call, where memory is wanted."""
        if isinstance(self.slot, Live):
            self.slot.write(state)

    def over(self, step: Step, states: Live) -> At:
        """What the block sees as the same use of it in another call, with other states."""
        return At(step, states, None, self._adapters, self._declared)

    def adapters_of(self, group: str) -> tuple[Adapter, ...]:
        """What this use adds to the linears called `group`."""
        return self._adapters.get(group, ())

    def record(self, name: str, value: Tensor) -> None:
        """Hand out an inner result, such as attention weights, if anybody listens."""
        if self._record:
            self._record(name, value)


class Mixer(nn.Module):
    """The module a block builds; one path for one token and for many."""

    def forward(self, x: Tensor, at: At) -> Tensor:
        """(B, T, reads) to (B, T, writes)."""
        raise NotImplementedError


class NormModule(nn.Module):
    """RMSNorm or LayerNorm over the last dimension."""

    def __init__(self, norm: Norm, width: int) -> None:
        super().__init__()
        self.norm, self.width = norm, width
        self.weight = nn.Parameter(torch.empty(width)) if norm.affine else None
        self.bias = nn.Parameter(torch.empty(width)) if norm.affine and norm.kind == "layer" else None

    def forward(self, x: Tensor) -> Tensor:
        if self.norm.kind == "layer":
            return layer_norm(x, self.weight, self.bias, self.norm.eps)
        return rms_norm(x, self.weight, self.norm.eps, self.norm.offset, self.norm.cast == "after")


@dataclass
class Use:
    """What one use of a chain brings to it: the call, its memory, its adapters by block, and who listens."""

    step: Step
    slots: Slots
    record: Record | None
    shared: Shared
    adapters: Mapping[str, Adapters] = field(default_factory=dict)

    def at(self, mixer: MixerPlan) -> At:
        """What one block of the chain sees."""
        path = mixer.path
        return At(
            self.step, self.slots.get(path), self.record, self.adapters.get(path, NONE), mixer.declared.slot
        )


class ChainModule(nn.Module):
    """Branches over one stream; children are `norms` and the blocks by their paths, unless they are shared."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.branches = chain.branches
        self.norms = nn.ModuleDict({name: NormModule(norm, width) for name, norm, width in chain.norms()})
        for mixer in chain.mixers:
            if mixer.trunk is None:
                self.add_module(mixer.path, built(mixer))

    def run(self, stream: Tensor, use: Use, guests: Guests | None = None) -> Tensor:
        """(B, T, W) through every branch; `guests` join what a branch reads, and not the stream."""
        for number, branch in enumerate(self.branches):
            joined = guests(number, stream) if guests else None
            out = self._mix(branch, stream if joined is None else stream + joined, use)
            stream = out if branch.residual == 0 else scaled(stream, branch.residual) + out
            if branch.after:
                stream = real(self._norm(branch, "-after", stream), use.step)
        return stream

    def _mix(self, branch: BranchPlan, x: Tensor, use: Use) -> Tensor:
        if branch.norm:
            x = self._norm(branch, "", x)
        outs = [run(self._block(mixer, use), x, use.at(mixer)) for mixer in branch.mixers]
        out = outs[0] if len(outs) == 1 else torch.stack(outs).sum(0)
        if branch.post:
            out = self._norm(branch, "-post", out)
        if branch.dropout and self.training:
            out = F.dropout(out, branch.dropout)
        return scaled(real(out, use.step), branch.scale)

    def _norm(self, branch: BranchPlan, suffix: str, x: Tensor) -> Tensor:
        return self.norms[branch.mixers[0].path + suffix](x)

    def _block(self, mixer: MixerPlan, use: Use) -> nn.Module:
        """The module of a block: a child, or one that is shared."""
        return self.child(mixer.path) if mixer.trunk is None else trunk_of(use.shared, mixer.trunk)

    def child(self, path: str) -> nn.Module:
        """The block or guest called `path`."""
        module = self._modules[path]
        assert module is not None
        return module


class ChainUse(ChainModule):
    """One use of a chain: adapters and a map behind it all of its own; the chain itself unless that is shared."""

    def __init__(self, chain: Chain) -> None:
        if chain.trunk is None:
            super().__init__(chain)
        else:
            nn.Module.__init__(self)
        self._chain = chain
        self._adapted = self._adapt()
        if chain.out:
            (width,) = chain.out.parts.values()
            self.add_module("out", Leaf(chain.out.reads, width, bias=False))

    def _adapt(self) -> Mapping[str, Adapters]:
        """Register the adapters; they are found by block and group of linears."""
        found: dict[str, dict[str, tuple[Adapter, ...]]] = {}
        tree = nn.Module()
        for plan in self._chain.adapters:
            mixer = next(each for each in self._chain.mixers if each.path == plan.mixer)
            adapter = Adapter(plan, mixer.declared.linears[plan.group].parts)
            put(tree, plan.path, adapter)
            groups = found.setdefault(plan.mixer, {})
            groups[plan.group] = (*groups.get(plan.group, ()), adapter)
        if found:
            self.add_module("adapters", tree)
        return found

    def _used(
        self,
        stream: Tensor,
        step: Step,
        slots: Slots,
        record: Record | None,
        shared: Shared,
        guests: Guests | None = None,
    ) -> Tensor:
        """(B, T, W) through the chain, its own or the shared one, as this use."""
        use = Use(step, slots, record, shared, self._adapted)
        trunk = self._chain.trunk
        if trunk is None:
            return self.run(stream, use, guests)
        chain = trunk_of(shared, trunk)
        assert isinstance(chain, ChainModule)
        return chain.run(stream, use, guests)


class Guest(ChainUse):
    """A chain that rides on a layer."""

    def forward(
        self, stream: Tensor, step: Step, slots: Slots, record: Record | None, shared: Shared
    ) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        sources = {"stream": stream, "embedding": step.embedded}
        read = [sources[name] for name in self._chain.reads]
        x = self._used(read[0] if len(read) == 1 else torch.cat(read, -1), step, slots, record, shared)
        return self.child("out")(x) if self._chain.out else x


class Layer(ChainUse):
    """One layer: the host chain, and guests whose summed outputs join what a branch of the host reads."""

    def __init__(self, layer: LayerPlan) -> None:
        super().__init__(layer.host)
        self.guests: dict[int, tuple[str, ...]] = {}
        for name, chain in layer.guests.items():
            self.add_module(name, Guest(chain))
            branch = layer.joins.get(name, 0)
            self.guests[branch] = (*self.guests.get(branch, ()), name)

    def forward(
        self, stream: Tensor, step: Step, slots: Slots, record: Record | None, shared: Shared
    ) -> Tensor:
        """(B, T, D) to (B, T, D)."""

        def guests(branch: int, stream: Tensor) -> Tensor | None:
            joined: Tensor | None = None
            for name in self.guests.get(branch, ()):
                inner = {
                    path[len(name) + 1 :]: slot for path, slot in slots.items() if path.startswith(f"{name}.")
                }
                out = self.child(name)(stream, step, inner, record, shared)
                joined = out if joined is None else joined + out
            return joined

        return self._used(stream, step, slots, record, shared, guests if self.guests else None)


def built(mixer: MixerPlan) -> nn.Module:
    """The module of a block, whose groups of linears know what they are called."""
    module = mixer.block.build(mixer.site)
    for name, child in module.named_modules():
        if isinstance(child, LinearGroup):
            child.path = name
    return module


def shared_module(part: Chain | MixerPlan) -> nn.Module:
    """What all uses of one copy run."""
    return ChainModule(part) if isinstance(part, Chain) else built(part)


def trunk_of(shared: Shared, trunk: Trunk) -> nn.Module:
    """The module of a shared chain or block."""
    copies = shared[trunk.word]
    assert isinstance(copies, nn.ModuleList)
    return copies[trunk.copy]


def scaled(x: Tensor, factor: float) -> Tensor:
    """`x * factor`, for nothing when the factor is 1."""
    return x if factor == 1 else x * factor


def real(x: Tensor, step: Step) -> Tensor:
    """x with zeros for padding."""
    return x if step.valid is None else torch.where(step.valid[..., None], x, 0)
