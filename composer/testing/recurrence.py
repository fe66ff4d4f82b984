"""Checks of what a block remembers: states of a fixed size, rows that begin anew, long texts."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from composer.nn import HybridCache
from composer.nn.states import States

from .bench import Bench, expect, expect_close

LONG = 256
MOST_GROWTH = 8.0
MOMENTS = 8
"""How often a state is looked at in each half: one that forgets fast is small at some moments and large at others."""


def states(bench: Bench) -> None:
    """The state behind some tokens is the same however they came: at once, in pieces, padded, beside other rows."""
    if not recurrent(bench):
        return
    model, tokens = bench.model(), bench.tokens
    lengths = [tokens, tokens - 4, 1]
    x, draw = bench.input(3, tokens), random.Random(2)
    padded = model.new_cache(3)
    mask = torch.arange(tokens) < torch.tensor(lengths)[:, None]
    bench.run(model, x, attention_mask=mask.long(), past_key_values=padded)
    for b, n in enumerate(lengths):
        cut = draw.randint(0, n)
        whole, pieces = model.new_cache(1), model.new_cache(1)
        bench.fed(model, x[b : b + 1, :n], [n], whole)
        bench.fed(model, x[b : b + 1, :n], [cut, n - cut], pieces)
        for name, expected in held(whole).items():
            expect_close(held(pieces)[name], expected, f"the state {name!r} of {n} tokens in two pieces")
            expect_close(
                held(padded)[name][b : b + 1], expected, f"the state {name!r} of a padded row of {n} tokens"
            )


def reset(bench: Bench) -> None:
    """A row that a cache empties begins anew, and the rows beside it go on."""
    model, tokens = bench.model(), bench.tokens
    x, more = bench.input(3, tokens), bench.input(3, 4, seed=1)
    cache = model.new_cache(3)
    bench.run(model, x, past_key_values=cache)
    cache.reset([1])
    out = bench.run(model, more, past_key_values=cache)
    for b in range(3):
        past = x[b : b + 1, : 0 if b == 1 else tokens]
        text = torch.cat([past, more[b : b + 1]], 1)
        expected = bench.fed(model, text, [past.shape[1], 4])[0, past.shape[1] :]
        what = "a row that was emptied" if b == 1 else f"row {b} beside one that was emptied"
        expect_close(out[b], expected, what)


def bounded(bench: Bench) -> None:
    """Over a long text memory takes no more than declared, and its numbers stay finite and do not run away."""
    model, half = bench.model(), LONG // 2
    most = bench.site.max_position_embeddings or LONG
    if most < LONG:
        return
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
    grown = (second / first.clamp_min(1e-30)).max() if len(first) else torch.zeros(())
    expect(
        grown <= MOST_GROWTH, f"its state grows {float(grown):.2g} times from token {half} to token {LONG}"
    )


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
