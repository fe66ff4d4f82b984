"""Attention written out by hand, which may be done, and what goes wrong then; and modules that keep things."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from composer import Causal, Site
from composer.nn import At, Keys

from .attention import HEADS, WINDOW, Honest, Module


class ByHand(Module):
    """Honest: scores, mask and softmax of its own over the keys of the slot."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor, at: At) -> Tensor:
        keys = at.keys(k, v)
        held_k, held_v = keys.values
        scores = (q @ held_k.transpose(-1, -2)) * self.scale(at)
        scores = scores.masked_fill(~self.seen(at, keys)[:, None], self.least(scores))
        return (scores.softmax(-1) @ held_v).transpose(1, 2).flatten(2)

    def least(self, scores: Tensor) -> float:
        return torch.finfo(scores.dtype).min

    def seen(self, at: At, keys: Keys) -> Tensor:
        """(B or 1, T, S)."""
        query, key = at.step.indices[:, :, None], keys.positions(at.step)[:, None]
        return self.within(Causal(WINDOW)(query, key) & (key >= 0), at)

    def within(self, seen: Tensor, at: At) -> Tensor:
        segments = at.step.segments
        return seen if segments is None else seen & (segments[:, :, None] == segments[:, None])


class MasksByFloat32(ByHand):
    """Hidden scores become the least float32, which float16 cannot hold."""

    def least(self, scores: Tensor) -> float:
        return torch.finfo(torch.float32).min


class MasksByInfinity(ByHand):
    """Hidden scores become minus infinity, and a pad that sees nothing makes gradients no numbers."""

    def least(self, scores: Tensor) -> float:
        return -torch.inf

    def seen(self, at: At, keys: Keys) -> Tensor:
        seen = super().seen(at, keys)
        return seen if at.step.valid is None else seen & at.step.valid[..., None]


class MaskIgnoresSegments(ByHand):
    """The mask knows nothing of packed sequences."""

    def within(self, seen: Tensor, at: At) -> Tensor:
        return seen


class SeesEmptySlots(ByHand):
    """Places of the slot that hold nothing yet are looked at too."""

    def seen(self, at: At, keys: Keys) -> Tensor:
        query, key = at.step.indices[:, :, None], keys.positions(at.step)[:, None]
        return self.within(Causal(WINDOW)(query, key), at)


class MasksByColumns(ByHand):
    """The mask takes the keys to stand in the order of their columns, also where the slot is a ring."""

    def seen(self, at: At, keys: Keys) -> Tensor:
        held = keys.values[0].shape[2]
        key = at.step.ends - held + torch.arange(held)[None, None]
        return self.within(Causal(WINDOW)(at.step.indices[:, :, None], key) & (key >= 0), at)


class SlowPathDiffers(Module):
    """A slow path of its own, for the reference, forgets the scale."""

    def scale(self, at: At) -> float:
        return 1.0 if at.step.attention == "reference" else 0.5


class Raises(Module):
    """Fails in every call."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * (1 / 0)


class TrainingDiffers(Module):
    """A path of its own, where gradients are wanted, leaves out the window."""

    def visible(self) -> Any:
        return Causal() if torch.is_grad_enabled() else Causal(WINDOW)


class CompiledDiffers(Module):
    """A shorter path for the compiler leaves out the positions."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return x if torch.compiler.is_compiling() else super().read(x, at)


# ------------------------------------------------------------------ what stays behind


class RunningMean(Module):
    """A running mean is updated by every call, not only in training."""

    mean: Any = 0.0

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * float(y.detach().mean())
        return y - self.mean


class ScaleOfFirstCall(Module):
    """A scale is found in the first call and kept for all others."""

    found: Any = None

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        if self.found is None:
            self.found = float(y.detach().std())
        return y / self.found


class KeepsInputs(Module):
    """Inputs are collected in a list, to look at them later."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.inputs: list[Tensor] = []

    def read(self, x: Tensor, at: At) -> Tensor:
        self.inputs.append(x.detach())
        return super().read(x, at)


class KeepsResult(Module):
    """Results are written into a tensor that the next call of the same size uses again."""

    result: Any = None

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        if self.training or torch.is_grad_enabled():
            return y
        if self.result is None or self.result.shape != y.shape or self.result.dtype != y.dtype:
            self.result = torch.empty_like(y)
        return self.result.copy_(y)


class NormalisesWeights(Module):
    """Weights are normalised in place before they are used."""

    def forward(self, x: Tensor, at: At) -> Tensor:
        weight = self.out.get_parameter("o.weight")
        weight.data = F.normalize(weight.data, dim=-1)
        return super().forward(x, at)


class ScaleOfWeights(Module):
    """The mean size of the weights is found once, and stays when they change."""

    size: Any = None

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        if self.training or torch.is_grad_enabled():
            return y / self.out.get_parameter("o.weight").abs().mean()
        if self.size is None:
            self.size = self.out.get_parameter("o.weight").detach().abs().mean().item()
        return y / self.size


class ScaleOfLoadedWeights(ScaleOfWeights):
    """The mean size of the weights is found again when others are loaded, but not when they are trained."""

    def _load_from_state_dict(self, *args: Any) -> None:
        self.size = None
        super()._load_from_state_dict(*args)


class HoldsItself(Module):
    """A function made in __init__ holds on to the module, and a copy's to the first one."""

    def __init__(self, options: Honest, site: Site) -> None:
        super().__init__(options, site)
        self.project = lambda y, at: self.out(y, at)[0]

    def forward(self, x: Tensor, at: At) -> Tensor:
        q, k, v = (p.unflatten(-1, (HEADS, -1)).transpose(1, 2) for p in self.qkv(self.read(x, at), at))
        return self.project(self.mixed(q, k, v, at), at)


class CallsParts(Module):
    """The parts of a group are called one by one."""

    def projected(self, x: Tensor, at: At) -> Any:
        return [part(x) for part in self.qkv.children()]


class UsesWeights(Module):
    """Weights are joined and multiplied by hand."""

    def projected(self, x: Tensor, at: At) -> Any:
        parts = list(self.qkv.children())
        weight, bias = (torch.cat([getattr(part, name) for part in parts]) for name in ("weight", "bias"))
        return F.linear(x, weight, bias).chunk(3, -1)
