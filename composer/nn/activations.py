"""Activations by the names that published configurations use, as plain torch functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from composer.options import ActivationName

Activation = Callable[[Tensor], Tensor]


def activation(name: ActivationName) -> Activation:
    """The function called `name`: elementwise, without parameters, out of place."""
    return _ACTIVATIONS[name]


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU by a hyperbolic tangent, fused."""
    return F.gelu(x, approximate="tanh")


def gelu_tanh_stepwise(x: Tensor) -> Tensor:
    """The same formula in separate steps, each of which rounds; the factor one half is applied first."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))
    return 0.5 * x * (1 + inner.tanh())


def gelu_tanh_factored(x: Tensor) -> Tensor:
    """The same formula with the cube factored out and a rounded constant."""
    inner = x * 0.7978845608 * (1 + 0.044715 * x * x)
    return 0.5 * x * (1 + inner.tanh())


def gelu_erf_stepwise(x: Tensor) -> Tensor:
    """The exact GELU in separate steps."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def gelu_clipped(x: Tensor) -> Tensor:
    """The exact GELU, held within -10 and 10."""
    return F.gelu(x).clamp(-10, 10)


def gelu_sigmoid(x: Tensor) -> Tensor:
    """GELU by a logistic function."""
    return x * torch.sigmoid(1.702 * x)


def laplace(x: Tensor) -> Tensor:
    """Distribution function of a normal variable that stands in for a squared ReLU."""
    return 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * math.sqrt(2))))


def relu_squared(x: Tensor) -> Tensor:
    """The square of the ReLU."""
    return F.relu(x).square()


def root_softplus(x: Tensor) -> Tensor:
    """The square root of the softplus."""
    return F.softplus(x).sqrt()


def identity(x: Tensor) -> Tensor:
    """The input itself."""
    return x


_ACTIVATIONS: dict[str, Activation] = {
    "gelu": F.gelu,
    "gelu_10": gelu_clipped,
    "gelu_accurate": gelu_tanh_stepwise,
    "gelu_fast": gelu_tanh_factored,
    "gelu_new": gelu_tanh_stepwise,
    "gelu_python": gelu_erf_stepwise,
    "gelu_python_tanh": gelu_tanh_stepwise,
    "gelu_pytorch_tanh": gelu_tanh,
    "hardswish": F.hardswish,
    "laplace": laplace,
    "leaky_relu": F.leaky_relu,
    "linear": identity,
    "mish": F.mish,
    "quick_gelu": gelu_sigmoid,
    "relu": F.relu,
    "relu2": relu_squared,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sqrtsoftplus": root_softplus,
    "swish": F.silu,
    "tanh": torch.tanh,
}
