"""From a plan to a model: built without memory, then allocated and drawn as the spec says."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from composer.block import Param
from composer.plan import Plan

from . import kernels  # noqa: F401  # registers them
from .attend import kernel
from .device import usable_device, usable_dtype
from .draws import draw
from .faults import building
from .model import Model
from .promised import check_promises


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
    draw_parameters(model, plan.parameters(), device, generator)
    if plan.embedding.padding is not None:
        with torch.no_grad():
            model.embed.weight[plan.embedding.padding] = 0
    return model


def draw_parameters(
    model: Model, parameters: Mapping[str, Param], device: torch.device, generator: torch.Generator | None
) -> None:
    """Allocate parameters of a model and draw them as its plan says."""
    for name, param in parameters.items():
        dtype = model.get_parameter(name).dtype
        tensor = torch.empty(param.shape, device=device, dtype=dtype)
        place(model, name, draw(tensor, model.plan.init[param.init], generator))


def outline(plan: Plan, dtype: torch.dtype) -> Model:
    """The model without memory, in evaluation mode."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"), building():
            model = Model(plan)
    finally:
        torch.set_default_dtype(before)
    check_promises(model, plan)
    for name in plan.frozen:
        model.get_parameter(name).requires_grad_(False)
    for name, param in plan.parameters().items():
        if param.dtype != "model":
            place(model, name, torch.empty(param.shape, device="meta", dtype=stored(param, dtype)))
    return model.eval()


def stored(param: Param, dtype: torch.dtype) -> torch.dtype:
    """The dtype of a parameter in a model of `dtype`."""
    return dtype if param.dtype == "model" else torch.float32


def place(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Make `tensor` the parameter called `name`; whether it learns stays as it is."""
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    learns = model.get_parameter(name).requires_grad
    module.register_parameter(leaf, nn.Parameter(tensor, requires_grad=learns))
