"""Checks of what a block remembers: states of a fixed size, long texts."""

from __future__ import annotations

import torch
from torch import Tensor

from composer.nn import HybridCache
from composer.nn.states import States

from .bench import LONG, Bench
from .cases import Case
from .feeding import as_whole, feed, new_cache, text_of
from .findings import expect, expect_close, hold

LARGE = 300
"""What single channels of a stream grow to in large models, over what is usual."""
MOST_GROWTH = 8.0
MOMENTS = 8
"""How often a state is looked at in each half: one that forgets fast is small at some moments and large at others."""


def states(bench: Bench) -> None:
    """The state behind some tokens is the same however they came: at once, in pieces, padded, beside other rows."""
    if recurrent(bench):
        hold(bench, _states, Case(((7, bench.tokens - 7, 1), (bench.tokens - 7, 3, 0))))


def _states(bench: Bench, case: Case) -> None:
    text = text_of(bench, case)
    found = remembered(bench, case, text)
    for b, length in enumerate(case.lengths):
        expected = remembered(bench, Case(((length,),)), text[b : b + 1]) if length else {}
        for name, state in expected.items():
            expect_close(found[name][b], state[0], f"the state {name!r} of row {b}", token=None)


def remembered(bench: Bench, case: Case, text: Tensor) -> dict[str, Tensor]:
    """The states behind a text that is fed as a case says."""
    model = bench.model()
    cache = new_cache(model, case)
    assert cache is not None
    feed(bench, model, case, text, cache)
    return held(cache)


def bounded(bench: Bench) -> None:
    """Over a long text, and for large values, memory is as declared, numbers stay finite and calls agree."""
    if bench.long:
        hold(bench, as_whole, Case(((131,), (120,)), declared=True))
        _grows(bench)
    hold(bench, _finite, Case.of(2, 16))


def _finite(bench: Bench, case: Case) -> None:
    out = bench.run(bench.model(), LARGE * text_of(bench, case))
    expect(out.isfinite().all(), f"what it returns for values {LARGE} times as large is not finite")


def _grows(bench: Bench) -> None:
    model, half = bench.model(), LONG // 2
    cache = model.new_cache(2, max_length=LONG)
    x, before = bench.input(2, LONG), cache.nbytes
    sizes: list[Tensor] = []
    for part in x.split(half // MOMENTS, 1):
        out = bench.run(model, part, past_key_values=cache)
        expect(out.isfinite().all(), "what it returns is not finite")
        sizes.append(largest(cache))
    expect(cache.nbytes == before, f"its memory grew from {before} to {cache.nbytes} bytes")
    expect(bool(torch.stack(sizes).isfinite().all()), "its state is not finite")
    first, second = (torch.stack(some).amax(0) for some in (sizes[:MOMENTS], sizes[MOMENTS:]))
    grown = float((second / first.clamp_min(1e-30)).max()) if first.numel() else 0.0
    expect(grown <= MOST_GROWTH, f"its state grows {grown:.2g} times from token {half} to token {LONG}")


def recurrent(bench: Bench) -> bool:
    """Whether the block keeps a state of a fixed size."""
    return bench.declared.slot is not None and bench.declared.slot.kind == "recurrent"


def held(cache: HybridCache) -> dict[str, Tensor]:
    """The states that a cache of one layer holds, by name."""
    found: dict[str, Tensor] = {}
    for kept in cache.slots[0].values():
        found |= kept.read() if isinstance(kept, States) else {}
    return found


def largest(cache: HybridCache) -> Tensor:
    """(states,) the largest number in each."""
    sizes = [state.abs().max() for state in held(cache).values()]
    return torch.stack(sizes) if sizes else torch.zeros(0)
