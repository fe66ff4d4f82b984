"""The check of gradients: they are there, and they are the slopes of what is returned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from composer.nn import Model

from .bench import Bench
from .cases import Case
from .feeding import text_of
from .findings import broken, expect, expect_close, hold
from .tolerance import NOISE, SLOPE

Returned = Callable[[], Tensor]

DISTANCES = (1e-2, 3e-3, 1e-3)
"""To either side of a point: where one lies beyond a kink, such as another choice of a router, a nearer does not."""


def gradients(bench: Bench) -> None:
    """Gradients reach all parameters and the input, are slopes of the result, and wanting them changes nothing."""
    hold(bench, _same, Case.of(2, bench.tokens), Case(((bench.tokens, 3),), cached=False), Case.of(2, 1))
    hold(bench, _gradients, Case.of(2, 6), Case(((6, 3),), cached=False))


def _same(bench: Bench, case: Case) -> None:
    model, x = bench.model(), text_of(bench, case)
    with torch.no_grad():
        expected = terms(bench, model, x, case)
    expect_close(
        terms(bench, model, x, case).detach(), expected, "where gradients are wanted, what it returns"
    )


def _gradients(bench: Bench, case: Case) -> None:
    chance = any("dropout" in name and value for name, value in bench.block)
    model, x = bench.model().train(not chance), text_of(bench, case).requires_grad_()
    terms(bench, model, x, case).sum().backward()
    for name, tensor in {"its input": x, **dict(bench.mixer(model).named_parameters())}.items():
        grad = tensor.grad
        expect(grad is not None, f"no gradient reaches {name}")
        if grad is not None:
            expect(grad.isfinite().all(), f"the gradient of {name} is not finite")
            is_slope(lambda: terms(bench, model, x, case), name, tensor, grad)


def is_slope(returned: Returned, name: str, tensor: Tensor, grad: Tensor) -> None:
    """Fail unless a gradient is, along a random direction, what is measured between two near points."""
    way = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(5))
    said, measured = float((grad * way).sum()), 0.0
    for distance in DISTANCES:
        half, noise = between(returned, tensor, way * distance)
        measured = half / distance
        if abs(said - measured) <= SLOPE * max(float(grad.norm()), abs(measured)) + noise / distance:
            return
    detail = f"along a random direction it is {said:.4g}, and {measured:.4g} is measured"
    broken(f"the gradient of {name} is not the slope of what is returned", detail)


@torch.no_grad()
def between(returned: Returned, tensor: Tensor, way: Tensor) -> tuple[float, float]:
    """Half the difference of what two points on either side of a tensor give, and how much rounding makes of it."""
    kept, found = tensor.clone(), []
    for point in (kept + way, kept - way):
        tensor.copy_(point)
        found.append(returned().double())
    tensor.copy_(kept)
    return float((found[0].sum() - found[1].sum()) / 2), NOISE * float(found[0].abs().sum())


def terms(bench: Bench, model: Model, x: Tensor, case: Case) -> Tensor:
    """(B, T, W) whose sum all outputs of real tokens have a part in."""
    mask = torch.arange(x.shape[1]) < torch.tensor(case.lengths)[:, None]
    padded = {} if bool(mask.all()) else {"attention_mask": mask.long()}
    out = bench.returned(model, x, **padded)
    return out * bench.input(x.shape[0], x.shape[1], seed=1) * mask[..., None]
