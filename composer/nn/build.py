"""From a plan to a model: built without memory, then allocated and drawn as the spec says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.block import Param
from composer.plan import Plan
from composer.spec import Draw

from . import kernels  # noqa: F401  # registers them
from .attend import kernel
from .device import usable_device, usable_dtype
from .model import Model


def build(
    plan: Plan,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int | None = None,
    attention: str = "sdpa",
) -> Model:
    """A model with freshly drawn parameters; `device="meta"` allocates nothing.

    `seed` makes the draw reproducible; without it torch's own generator is used.  `attention` names the
    kernel.  Raises CallError: E701 an unknown kernel, E713 a dtype that no model has, E716 a device that is
    not there.
    """
    device, dtype = usable_device(device), usable_dtype(dtype)
    kernel(attention)
    model = outline(plan, dtype)
    model.attention = attention
    if device.type == "meta":
        return model
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    for name, param in plan.parameters().items():
        tensor = torch.empty(param.shape, device=device, dtype=stored(param, dtype))
        place(model, name, draw(tensor, plan.init[param.init], generator))
    return model


def outline(plan: Plan, dtype: torch.dtype) -> Model:
    """The model without memory, in evaluation mode."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            model = Model(plan)
    finally:
        torch.set_default_dtype(before)
    for name, param in plan.parameters().items():
        if param.dtype != "model":
            place(model, name, torch.empty(param.shape, device="meta", dtype=stored(param, dtype)))
    return model.eval()


def stored(param: Param, dtype: torch.dtype) -> torch.dtype:
    """The dtype of a parameter in a model of `dtype`."""
    return dtype if param.dtype == "model" else torch.float32


def place(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Make `tensor` the parameter called `name`."""
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    module.register_parameter(leaf, nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))


@torch.no_grad()
def draw(tensor: Tensor, how: Draw, generator: torch.Generator | None) -> Tensor:
    """Fill a tensor in place."""
    if how.distribution == "normal":
        return tensor.normal_(how.mean, how.spread, generator=generator)
    if how.distribution == "uniform":
        return tensor.uniform_(how.mean - how.spread, how.mean + how.spread, generator=generator)
    return tensor.fill_(how.mean)
