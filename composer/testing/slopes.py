"""The check of gradients: they are there, and they are the slopes of what is returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

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

FINE = (1e-3, 1e-4, 1e-5, 1e-6)
"""The same in float64, for what is strongly curved, as a norm of something small is."""


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
    ours = Sloped(bench, case, torch.float32)
    ours.returned().sum().backward()
    for name, tensor in ours.tensors.items():
        grad = tensor.grad
        expect(grad is not None, f"no gradient reaches {name}")
        if grad is not None:
            expect(grad.isfinite().all(), f"the gradient of {name} is not finite")
            is_slope(ours, name, grad)


class Sloped:
    """A model that returns something of its input and its parameters, in one dtype."""

    def __init__(self, bench: Bench, case: Case, dtype: torch.dtype) -> None:
        chance = any("dropout" in name and value for name, value in bench.block)
        self.bench, self.case, self.dtype = bench, case, dtype
        self.model = bench.model().to(dtype).train(not chance)
        self.x = text_of(bench, case).to(dtype).requires_grad_()
        self.tensors = {"its input": self.x, **dict(bench.mixer(self.model).named_parameters())}

    def returned(self) -> Tensor:
        """(B, T, W) terms of a sum."""
        return terms(self.bench, self.model, self.x, self.case)

    def slopes(self, name: str, way: Tensor, distances: Sequence[float]) -> Iterator[tuple[float, float]]:
        """What is measured along a direction at each distance, and how much of that rounding may be."""
        for distance in distances:
            half, size = between(self.returned, self.tensors[name], way.to(self.dtype) * distance)
            yield half / distance, NOISE[self.dtype] * size / distance


def is_slope(ours: Sloped, name: str, grad: Tensor) -> None:
    """Fail unless a gradient is, along a random direction, what is measured between two near points.

    Where points that float32 can tell apart are too far from each other, float64 has nearer ones; a gradient
    that is wrong is as wrong there.
    """
    way = torch.randn(grad.shape, generator=torch.Generator().manual_seed(5))
    said, measured = float((grad * way).sum()), 0.0
    for measured, noise in chain(ours.slopes(name, way, DISTANCES), finer(ours, name, way)):
        if abs(said - measured) <= SLOPE * max(float(grad.norm()), abs(measured)) + noise:
            return
    detail = f"along a random direction it is {said:.4g}, and {measured:.4g} is measured"
    broken(f"the gradient of {name} is not the slope of what is returned", detail)


def finer(ours: Sloped, name: str, way: Tensor) -> Iterator[tuple[float, float]]:
    """The slopes of the same numbers in float64, none where the block does not compute in it."""
    with suppress(Exception):  # whatever a block raises
        finely = Sloped(ours.bench, ours.case, torch.float64)
        with torch.no_grad():
            for each, tensor in finely.tensors.items():
                tensor.copy_(ours.tensors[each])
        yield from list(finely.slopes(name, way, FINE))


@torch.no_grad()
def between(returned: Returned, tensor: Tensor, way: Tensor) -> tuple[float, float]:
    """Half the difference of what two points on either side of a tensor give, and the sizes of its terms in sum."""
    kept, found = tensor.clone(), []
    for point in (kept + way, kept - way):
        tensor.copy_(point)
        found.append(returned().double())
    tensor.copy_(kept)
    return float((found[0].sum() - found[1].sum()) / 2), float(found[0].abs().sum())


def terms(bench: Bench, model: Model, x: Tensor, case: Case) -> Tensor:
    """(B, T, W) whose sum all outputs of real tokens have a part in."""
    mask = torch.arange(x.shape[1]) < torch.tensor(case.lengths)[:, None]
    padded = {} if bool(mask.all()) else {"attention_mask": mask.long()}
    out = bench.returned(model, x, **padded)
    return out * bench.input(x.shape[0], x.shape[1], seed=1) * mask[..., None]
