"""From a plan to a model: built without memory, then allocated and drawn as the spec says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.errors import CallError, fail
from composer.plan import Plan
from composer.spec import Draw

from .attend import kernel
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
    kernel.  Raises CallError for a dtype that is no floating one.
    """
    if not dtype.is_floating_point:
        fail(
            CallError,
            "E713",
            f"a model cannot be built in {dtype}",
            hint="torch.float32, torch.bfloat16 or torch.float16",
        )
    kernel(attention)
    with torch.device("meta"):
        model = Model(plan)
    model.attention = attention
    device = torch.device(device)
    generator = None if seed is None or device.type == "meta" else torch.Generator(device).manual_seed(seed)
    for name, param in plan.parameters().items():
        tensor = torch.empty(
            param.shape, device=device, dtype=dtype if param.dtype == "model" else torch.float32
        )
        place(model, name, draw(tensor, plan.init[param.init], generator))
    return model.eval()


def place(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Make `tensor` the parameter called `name`."""
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    module.register_parameter(leaf, nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))


@torch.no_grad()
def draw(tensor: Tensor, how: Draw, generator: torch.Generator | None) -> Tensor:
    """Fill a tensor in place; one without memory stays as it is."""
    if tensor.is_meta:
        return tensor
    if how.distribution == "normal":
        return tensor.normal_(how.mean, how.spread, generator=generator)
    if how.distribution == "uniform":
        return tensor.uniform_(how.mean - how.spread, how.mean + how.spread, generator=generator)
    return tensor.fill_(how.mean)
