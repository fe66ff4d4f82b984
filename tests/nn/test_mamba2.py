"""Mamba2 against the mixers of transformers, over sampled configurations and every way to feed a row."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from composer.nn import ragged

from .. import prove
from .mamba2 import Case, Pair, relative, sampled, translated, typical

CASES = range(prove.cases(24, 600))
GRADIENTS = range(prove.cases(8, 200))
HALVES = range(prove.cases(5, 60))


@pytest.fixture(autouse=True)
def _together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of different lengths are not run in parts, so that the block sees pads."""
    monkeypatch.setitem(ragged.OVERHEAD, "cpu", 10**9)


def pieces(number: int, tokens: int) -> list[int]:
    """A random way to cut a row, single tokens often among the pieces."""
    draw, sizes = random.Random(number), [1] if number % 3 == 0 else []
    while sum(sizes) < tokens:
        sizes.append(min(draw.choice((1, 1, 2, 7, 64, 100, 200)), tokens - sum(sizes)))
    return sizes


def padded(x: Tensor, lengths: list[int], left: bool) -> tuple[Tensor, Tensor]:
    """Rows cut to their lengths, noise for what is missing, and the mask that says so."""
    tokens = x.shape[1]
    out, mask = torch.randn_like(x), torch.zeros(x.shape[:2], dtype=torch.int64)
    for b, n in enumerate(lengths):
        span = slice(tokens - n, tokens) if left else slice(0, n)
        out[b, span], mask[b, span] = x[b, :n], 1
    return out, mask


@pytest.mark.parametrize("number", CASES)
def test_parity(number: int) -> None:
    """At once, in pieces, padded on either side and packed: what their mixer returns for the rows alone."""
    pair = Pair(sampled(number))
    bench, model, x, case = pair.bench, pair.ours, pair.x, pair.case
    exact, limit = pair.expected(x.double()), pair.tolerance()

    def check(what: str, ours: Tensor, expected: Tensor) -> None:
        prove.at_most(
            f"mamba2 {what} against transformers, of the tolerance", relative(ours, expected) / limit, 1
        )

    check("at once", bench.run(model, x), exact)
    check("in pieces", bench.fed(model, x, pieces(number, case.tokens)), exact)
    short = random.Random(number).randint(1, case.tokens)
    for left in (False, True):
        noisy, mask = padded(x, [case.tokens, short], left)
        out = bench.run(model, noisy, attention_mask=mask)[1]
        expected = pair.expected(x[1:, :short].double())[0]
        check("padded", out[-short:] if left else out[:short], expected)
    joined = torch.cat([x[:1], x[1:, :short]], 1)
    segments = torch.tensor([[0] * case.tokens + [1] * short])
    out = bench.run(model, joined, segment_ids=segments)[0]
    check("packed", out[: case.tokens], exact[0])
    check("packed", out[case.tokens :], pair.expected(x[1:, :short].double())[0])


@pytest.mark.parametrize("left", [False, True])
def test_padded_rows_go_on(left: bool) -> None:
    """Padding leaves no trace in the state, so what follows it is what follows the row alone."""
    pair = Pair(Case(0, tokens=150))
    cache, lengths = pair.ours.new_cache(2), [140, 67]
    noisy, mask = padded(pair.x[:, :140], lengths, left)
    pair.bench.run(pair.ours, noisy, attention_mask=mask, past_key_values=cache)
    more = torch.stack([pair.x[b, n : n + 9] for b, n in enumerate(lengths)])
    out = pair.bench.fed(pair.ours, more, [1, 1, 5, 2], cache)
    for b, n in enumerate(lengths):
        expected = pair.expected(pair.x[b : b + 1, : n + 9].double())[0, n:]
        assert relative(out[b], expected) <= pair.tolerance()


def test_long_rows_pass_in_tiles() -> None:
    """More tokens than a tile holds, in several rows, ragged and packed."""
    pair = Pair(Case(1, tokens=1300, plain=False))
    exact, limit = pair.expected(pair.x.double()), pair.tolerance()
    assert relative(pair.bench.run(pair.ours, pair.x), exact) <= limit
    noisy, mask = padded(pair.x, [1300, 700], left=False)
    cache = pair.ours.new_cache(2)
    out = pair.bench.run(pair.ours, noisy, attention_mask=mask, past_key_values=cache)
    assert relative(out[1, :700], exact[1, :700]) <= limit
    out = pair.bench.run(pair.ours, pair.x[:, 700:701], past_key_values=cache)
    assert relative(out[1], exact[1, 700:701]) <= limit
    segments = (torch.arange(1300) >= 511).long().repeat(2, 1)
    out = pair.bench.run(pair.ours, pair.x, segment_ids=segments)
    assert relative(out[:, 511:], pair.expected(pair.x[:, 511:].double())) <= limit


def gradients(pair: Pair, run: Callable[[Tensor], Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Of the input and of every parameter, for one weighting of the outputs."""
    x = pair.x.clone().requires_grad_()
    module.zero_grad()
    (run(x) * torch.randn(x.shape, generator=torch.Generator().manual_seed(5))).sum().backward()
    return {"input": x.grad.clone(), **{name: p.grad.clone() for name, p in module.named_parameters()}}


@pytest.mark.parametrize("number", GRADIENTS)
def test_gradients_are_theirs(number: int) -> None:
    """Equal to the slow twin's in float64, and to those of their mixer, which computes in float32 inside."""
    pair = Pair(sampled(number), torch.float64)

    def ours(x: Tensor) -> Tensor:
        return pair.bench.returned(pair.ours, x)

    found = gradients(pair, ours, pair.mixer)
    pair.ours.attention = "reference"
    slow = gradients(pair, ours, pair.mixer)
    theirs = gradients(pair, pair.theirs, pair.theirs)
    for name, expected in translated(theirs, pair.bench.block).items():
        prove.at_most("mamba2 gradients against transformers", relative(found[name], expected), 2e-3)
    for name, expected in slow.items():
        prove.at_most("mamba2 gradients against the slow twin", relative(found[name], expected), 1e-10)


def wide(number: int) -> Case:
    """A random case with so many channels that one unlucky rounding does not decide."""
    case = sampled(number)
    return replace(case, heads=4 * case.groups, width=16, size=16)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("number", HALVES)
def test_half_precision_errs_no_more_than_theirs(number: int, dtype: torch.dtype) -> None:
    """Against their mixer in float64 with the same rounded weights, at once and token after token."""
    pair = Pair(replace(wide(number), tokens=70), dtype)
    exact = pair.expected(pair.x.double())
    ours, theirs = pair.bench.run(pair.ours, pair.x), pair.expected(pair.x)
    assert ours.dtype == dtype
    prove.at_most(
        "mamba2 error in half precision over theirs", typical(ours, exact) / typical(theirs, exact), 1.1
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("number", HALVES)
def test_half_precision_errs_no_more_step_by_step(number: int, dtype: torch.dtype) -> None:
    """The same from a cache, where their mixer computes in another order."""
    pair = Pair(replace(wide(number), tokens=16, dt_min=None), dtype)
    exact, sizes = pair.expected(pair.x.double()), [1] * 16
    ours, theirs = pair.bench.fed(pair.ours, pair.x, sizes), pair.stepwise(sizes)
    ratio = typical(ours, exact) / typical(theirs, exact)
    prove.at_most("mamba2 error in half precision over theirs, step by step", ratio, 1.1)


@pytest.mark.parametrize("split", [False, True])
def test_the_bound_of_single_tokens(split: bool) -> None:
    """`dt_min` holds for every token; `dt_min_in_step: false` is what their cache does, which forgets it."""
    pair = Pair(Case(3, dt_min=0.5, tokens=40), dt_min_in_step=not split)
    sizes = [1, 20, 1, 1, 5, 1, 1, 10]
    theirs, ours = pair.stepwise(sizes), pair.bench.fed(pair.ours, pair.x, sizes)
    uncached = pair.expected(pair.x)
    assert relative(theirs, uncached) > 1e-2
    assert relative(ours, theirs if split else uncached) <= pair.tolerance()
    assert relative(pair.bench.run(pair.ours, pair.x), uncached) <= pair.tolerance()
