"""What authors of an attention block get wrong in arithmetic, gradients and chance."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from composer.nn import At

from .attention import Module

# ------------------------------------------------------------------ arithmetic


class Squeezes(Module):
    """A batch of one row loses its first dimension."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y.squeeze(0)


class DoublePositions(Module):
    """Positions are added in float64, and the stream stays that wide."""

    def read(self, x: Tensor, at: At) -> Tensor:
        return x + (self.positions(at).double() * 0.7).cos()[..., None].to(x.dtype)

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y + 1e-9 * self.positions(at).double()[..., None]


class ReturnsFloat(Module):
    """The result is normalised in float32 and not brought back."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y.float() * y.float().square().mean(-1, keepdim=True).add(1).rsqrt()


class SumsInHalf(Module):
    """Squares are summed in the stream's dtype, and scaled after that."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y * (y * 256).square().sum(-1, keepdim=True).div(65536).add(1).rsqrt()


class WritesInput(Module):
    """Positions are added into the stream itself."""

    def read(self, x: Tensor, at: At) -> Tensor:
        x += super().read(x, at) - x
        return x


class WithoutScale(Module):
    """Scores are never divided by the root of the width."""

    def scale(self, at: At) -> float:
        return 1.0


class ClampsPositions(Module):
    """Positions end at 40, and all later tokens are taken to stand there."""

    def positions(self, at: At) -> Tensor:
        return at.step.positions.clamp(max=40)


class DetachedNorm(Module):
    """The result is divided by a norm that is kept out of the gradient."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return y / y.detach().norm(dim=-1, keepdim=True).add(1)


class Detached(Module):
    """Biases are added through `.data`, which gradients do not follow."""

    def projected(self, x: Tensor, at: At) -> Any:
        parts = self.qkv(x, at)
        biases = [part.bias for part in self.qkv.children()]
        return [y - bias + bias.data for y, bias in zip(parts, biases, strict=True)]


# ------------------------------------------------------------------ chance


class AlwaysDrops(Module):
    """Dropout does not ask whether it trains."""

    def write(self, y: Tensor, x: Tensor, at: At) -> Tensor:
        return F.dropout(y, 0.3)


class NeverDrops(Module):
    """The option for dropout is never used."""

    options: ClassVar[dict[str, Any]] = {"dropout": 0.3}

    def rate(self) -> float:
        return 0.0


class Unseeded(Module):
    """The share that is dropped is drawn by Python's own generator."""

    options: ClassVar[dict[str, Any]] = {"dropout": 0.3}

    def rate(self) -> float:
        return random.uniform(0.1, 0.9) if self.training else 0.0
