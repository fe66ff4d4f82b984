"""The residual wiring, written once: blocks, their norms, branches, guests.

B batch, T tokens in this call (rows right-padded), D width of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from composer.block import Norm
from composer.plan import BranchPlan, Chain, LayerPlan

from .functional import layer_norm, rms_norm
from .slots import Keys, KeyValues, own_keys
from .step import Step

Record = Callable[[str, Tensor], None]
Slots = Mapping[str, KeyValues]


class At:
    """What a block sees besides the stream: the step, its own slot, and where to record what it is asked for."""

    def __init__(self, step: Step, slot: KeyValues | None = None, record: Record | None = None) -> None:
        self.step, self.slot, self._record = step, slot, record

    def keys(self, *values: Tensor) -> Keys:
        """Remember this call's (B, heads, T, dim) values where memory is wanted, and return all that count."""
        if self.slot is None:
            return own_keys(self.step, values)
        keys = self.slot.put(self.step, values)
        if keys.values[0].dtype == values[0].dtype:
            return keys
        return replace(keys, values=tuple(held.to(values[0].dtype) for held in keys.values))  # autocast

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
        self.kind, self.eps = norm.kind, norm.eps
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width)) if norm.kind == "layer" else None

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "rms":
            return rms_norm(x, self.weight, self.eps)
        return layer_norm(x, self.weight, self.bias, self.eps)


class ChainModule(nn.Module):
    """Branches over one stream; children are `norms` and the blocks by their paths."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.branches = chain.branches
        names = [(name, norm) for branch in chain.branches for name, norm in branch.norms()]
        self.norms = nn.ModuleDict({name: NormModule(norm, chain.width) for name, norm in names})
        for mixer in chain.mixers:
            self.add_module(mixer.path, mixer.block.build(mixer.site))

    def run(
        self, stream: Tensor, step: Step, slots: Slots, record: Record | None, guests: Tensor | None
    ) -> Tensor:
        """(B, T, D) through every branch; `guests` join what the first branch reads, and only that."""
        for branch in self.branches:
            out = self._mix(branch, stream if guests is None else stream + guests, step, slots, record)
            guests = None
            stream = out if branch.residual == 0 else scaled(stream, branch.residual) + out
            if branch.after:
                stream = self._norm(branch, "-after", stream)
        return stream

    def _mix(self, branch: BranchPlan, x: Tensor, step: Step, slots: Slots, record: Record | None) -> Tensor:
        if branch.norm:
            x = self._norm(branch, "", x)
        outs = [self.child(m.path)(x, At(step, slots.get(m.path), record)) for m in branch.mixers]
        out = outs[0] if len(outs) == 1 else torch.stack(outs).sum(0)
        if branch.post:
            out = self._norm(branch, "-post", out)
        if step.valid is not None:
            out = torch.where(step.valid[..., None], out, 0)
        return scaled(out, branch.scale)

    def _norm(self, branch: BranchPlan, suffix: str, x: Tensor) -> Tensor:
        return self.norms[branch.mixers[0].path + suffix](x)

    def child(self, path: str) -> nn.Module:
        """The block or guest called `path`."""
        module = self._modules[path]
        assert module is not None
        return module


def scaled(x: Tensor, factor: float) -> Tensor:
    """`x * factor`, for nothing when the factor is 1."""
    return x if factor == 1 else x * factor


class Guest(ChainModule):
    """A chain that rides on a layer."""

    def forward(self, stream: Tensor, step: Step, slots: Slots, record: Record | None) -> Tensor:
        return self.run(stream, step, slots, record, None)


class Layer(ChainModule):
    """One layer: the host chain, and guests whose summed outputs join what the host first reads."""

    def __init__(self, layer: LayerPlan) -> None:
        super().__init__(layer.host)
        self.guests = tuple(layer.guests)
        for name, chain in layer.guests.items():
            self.add_module(name, Guest(chain))

    def forward(self, stream: Tensor, step: Step, slots: Slots, record: Record | None) -> Tensor:
        joined: Tensor | None = None
        for name in self.guests:
            inner = {
                path[len(name) + 1 :]: slot for path, slot in slots.items() if path.startswith(f"{name}.")
            }
            out = self.child(name)(stream, step, inner, record)
            joined = out if joined is None else joined + out
        return self.run(stream, step, slots, record, joined)
