"""The fast functions of Mamba2 against their slow twins."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from composer_mamba2 import reference, scan

from .. import prove
from .mamba2 import relative

LENGTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 200)


def inputs(number: int, dtype: torch.dtype = torch.float64, steep: float = 1.0, **sizes: int) -> list[Any]:
    """x, dt, A, B, C, D, the state, and in every other case packed sequences."""
    draw = random.Random(number)
    groups = sizes.get("groups", draw.choice((1, 2, 3)))
    rows, tokens = sizes.get("rows", draw.choice((1, 2))), sizes.get("tokens", draw.choice(LENGTHS))
    heads, width, size = (
        groups * draw.choice((1, 2)),
        sizes.get("width") or draw.choice((1, 3, 8)),
        draw.choice((1, 2, 5)),
    )
    generator = torch.Generator().manual_seed(number)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    dt = torch.nn.functional.softplus(normal(rows, tokens, heads)) * steep
    given = [normal(rows, tokens, heads, width), dt, -normal(heads).exp(), normal(rows, tokens, groups, size)]
    given += [normal(rows, tokens, groups, size), normal(heads), normal(rows, heads, width, size)]
    segments = torch.randint(3, (rows, tokens + 1), generator=generator).sort(1).values
    return [*given, segments if number % 2 else None]


@torch.no_grad()
@pytest.mark.parametrize("number", range(prove.cases(30, 1000)))
def test_chunks_are_the_recurrence(number: int) -> None:
    """For lengths around the borders of chunks, with and without packed sequences."""
    for dtype, limit in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
        given = inputs(number, dtype)
        expected, state = reference.scan(*given)
        given[6] = given[6].clone()
        out, after = scan.scan(*given, chunk=random.Random(number).choice((1, 8, 16, 64)))
        prove.at_most(f"scan against the recurrence in {dtype}", relative(out, expected), limit)
        prove.at_most(f"scan against the recurrence in {dtype}", relative(after, state), limit)


@torch.no_grad()
def test_neighbours_keep_their_digits_behind_steep_decays() -> None:
    """Sums of thousands end a chunk in which small decays follow large ones; float32 still has its digits."""
    given = inputs(2, torch.float32, tokens=64)
    given[1][:, :32] *= 300.0
    given[1][:, 32:] *= 0.001
    exact, state = reference.scan(*(part.double() if isinstance(part, Tensor) else part for part in given))
    out, after = scan.scan(*given)
    assert relative(out[:, 32:], exact[:, 32:]) <= 1e-6
    assert relative(after, state) <= 1e-6


def test_nothing_overflows() -> None:
    """Decays of e to the minus 10,000 at every token: finite results, finite gradients."""
    given = inputs(4, torch.float32, steep=1e4, tokens=130)
    for part in given[:7]:
        part.requires_grad_()
    out, state = scan.scan(*given)
    (out.square().sum() + state.sum()).backward()
    assert all(bool(tensor.isfinite().all()) for tensor in (out, state, *(part.grad for part in given[:7])))


@pytest.mark.parametrize("number", range(4))
def test_gradients_are_the_derivatives(number: int) -> None:
    """Numerically, of every input, over several chunks."""
    given = inputs(number, rows=1, groups=1 + number // 2, tokens=5, width=2)
    for part in given[:7]:
        part.requires_grad_()
    assert torch.autograd.gradcheck(lambda *parts: scan.scan(*parts, given[7], 2), given[:7])


def test_gradients_of_a_single_token() -> None:
    """Numerically, in the form that works in place without gradients."""
    given = inputs(6, rows=2, groups=2, tokens=1)
    for part in given[:7]:
        part.requires_grad_()
    assert torch.autograd.gradcheck(lambda *parts: scan.scan(*parts), given[:7])


@torch.no_grad()
def test_a_single_token_writes_into_its_state() -> None:
    """No copy of the state is made: the one that comes back is the one that went in."""
    given = inputs(8, torch.float32, tokens=1)
    _, expected = reference.scan(*given)
    _, state = scan.scan(*given)
    assert state is given[6]
    assert relative(state, expected) <= 1e-6


@torch.no_grad()
def test_a_token_that_takes_no_step_leaves_no_trace() -> None:
    """dt 0 is the identity, in the chunks and in the single step."""
    for tokens in (1, 70):
        given = inputs(10, torch.float32, tokens=tokens)
        before = given[6].clone()
        given[1].zero_()
        _, state = scan.scan(*given)
        assert torch.equal(state, before)


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [
            part for part in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(part, Tensor)
        ]
        self.numel = max(self.numel, *(part.numel() for part in tensors), 0)
        return out


@torch.no_grad()
def test_memory_does_not_grow_with_the_text() -> None:
    """Nothing that is made for 4,096 tokens is larger than for 512, but what goes in and comes out."""
    from .mamba2 import Case, Pair

    pair = Pair(Case(5, heads=8, width=8, size=8))
    sizes = []
    for tokens in (512, 4096):
        x = torch.randn(1, tokens, pair.case.stream)
        with Largest() as largest:
            pair.bench.run(pair.ours, x)
        sizes.append(largest.numel)
    assert sizes[0] >= 4096 * pair.case.stream  # so that the stream itself is not what is compared
    assert sizes[1] == sizes[0]
