"""Values for fresh parameters, as a spec's `init` says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from composer.spec import Draw


@torch.no_grad()
def draw(tensor: Tensor, how: Draw, generator: torch.Generator | None) -> Tensor:
    """Fill a tensor in place."""
    if how.distribution == "normal":
        return tensor.normal_(how.mean, how.spread, generator=generator)
    if how.distribution == "uniform":
        return tensor.uniform_(how.mean - how.spread, how.mean + how.spread, generator=generator)
    if how.distribution == "log_range":
        return tensor.copy_(torch.arange(1, tensor.numel() + 1).log().view(tensor.shape))
    if how.distribution == "log_uniform_softplus":
        return softplus_drawn(tensor, how, generator)
    return tensor.fill_(how.mean)


def softplus_drawn(tensor: Tensor, how: Draw, generator: torch.Generator | None) -> Tensor:
    """Fill with values whose softplus is log-uniform, drawn in float32."""
    low, high = math.log(how.low or 1.0), math.log(how.high or 1.0)  # given, or the spec would not be read
    wide = torch.empty(tensor.shape, device=tensor.device)
    wide.uniform_(low, high, generator=generator).exp_()
    wide.clamp_(min=how.floor or torch.finfo(wide.dtype).tiny)  # of 0 the logarithm is infinite
    return tensor.copy_(wide + torch.log(-torch.expm1(-wide)))
