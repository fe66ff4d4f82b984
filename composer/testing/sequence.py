"""Checks of a block over a sequence: who sees whom, padding, packing, memory."""

from __future__ import annotations

import random
from contextlib import suppress

import torch
from torch import Tensor

from .bench import Bench
from .cases import Case
from .feeding import as_alone, as_packed, as_whole, feed, packed, text_of
from .findings import broken, expect, expect_close, hold
from .tolerance import TOLERANCE

FEWEST = 2
"""Tokens of the shortest chunk: what a block does with a single one is a check of its own."""


LONG_PACKED = Case(((64, 5, 59, 60),), packed=True)
"""Sequences that begin where chunks of 16, 32, 64 and 128 tokens do, and between."""


def shape(bench: Bench) -> None:
    """(batch, tokens, reads) becomes (batch, tokens, writes) of the same dtype, for one token and many."""
    hold(bench, _shaped, Case.of(1, 1), Case.of(2, 7), Case.of(3, 1))


def _shaped(bench: Bench, case: Case) -> None:
    model = bench.model()
    returned: list[Tensor] = []
    bench.mixer(model).register_forward_hook(lambda _, given, out: returned.append(out), prepend=True)
    bench.run(model, text_of(bench, case))
    found, wanted = tuple(returned[-1].shape), (case.rows, *case.lengths[:1], bench.site.writes)
    expect(found == wanted, f"it returns shape {found}, not {wanted}")
    expect(returned[-1].dtype == torch.float32, f"it returns {returned[-1].dtype} for torch.float32")


def influence(bench: Bench, tokens: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """(T, T) how much output i moves when token j is replaced, at [j, i]; and whether i is said to see j."""
    x = bench.input(1, tokens).to(dtype).repeat(tokens + 1, 1, 1)
    index = torch.arange(tokens)
    x[index, index] = bench.input(1, tokens, seed=1)[0].to(dtype)
    model = bench.model(dtype=dtype)
    out = torch.cat([bench.run(model, row[None]) for row in x])  # each alone: rows may not matter here
    moved = (out[:-1] - out[-1:]).abs().amax(-1) / out.abs().max().clamp_min(1e-30)
    seen = bench.block.sees(index[None, :], index[:, None])
    return moved, torch.as_tensor(seen).expand(tokens, tokens)


def sees_no_more(bench: Bench) -> None:
    """Replacing a token changes nothing where `sees` says it is not seen; later tokens are never seen."""
    hold(bench, _no_more, Case.of(1, bench.tokens))


def _no_more(bench: Bench, case: Case) -> None:
    moved, seen = influence(bench, case.most)
    most = TOLERANCE[moved.dtype]
    for key, query in (moved > most).logical_and(~seen).nonzero().tolist():
        how = f"token {query} moves by {float(moved[key, query]):.2g} when token {key} is replaced"
        broken(f"token {query} depends on token {key}, which `sees` says it does not see", how)
    for key, query in seen.nonzero().tolist():
        expect(key <= query, f"`sees` says that token {query} sees the later token {key}")
        expect(bench.block.sees(query, key), f"`sees` of the ints {query} and {key} is not that of tensors")


def sees_no_less(bench: Bench) -> None:
    """At every distance at which `sees` says tokens are seen, replacing one changes something."""
    hold(bench, _no_less, Case.of(1, bench.tokens))


def _no_less(bench: Bench, case: Case) -> None:
    distance = unseen(bench, case.most, torch.float32)
    if distance is not None:  # a memory that fades fast leaves less than float32 holds beside what is new
        with suppress(RuntimeError):  # not every block computes in float64
            distance = unseen(bench, case.most, torch.float64)
    expect(distance is None, f"no token depends on the one {distance} before, `sees` says so")


def unseen(bench: Bench, tokens: int, dtype: torch.dtype) -> int | None:
    """The first distance at which no token moves another, though `sees` says it does."""
    moved, seen = influence(bench, tokens, dtype)
    for distance in range(tokens):
        pairs = seen.diagonal(distance)
        if pairs.any() and not (moved.diagonal(distance)[pairs] > 0).any():
            return distance
    return None


def rows(bench: Bench) -> None:
    """A row of a batch returns what it returns alone."""
    hold(bench, as_alone, Case.of(3, bench.tokens))


def padding(bench: Bench) -> None:
    """Padding on either side of a row changes nothing, neither in that call nor in those that continue it."""
    calls = (bench.tokens, bench.tokens - 4, 1), (2, 2, 2), (1, 1, 1)
    hold(bench, as_alone, Case(calls), Case(calls, side="left"))
    if bench.long:
        # As long as rows differ little, so that the host runs them in one call.
        hold(bench, as_alone, Case(((119, 110, 118), (1, 7, 2))))


def packing(bench: Bench) -> None:
    """Sequences packed into one row by segment_ids return what each returns alone."""
    hold(bench, as_packed, Case(((5, 1, bench.tokens, 3),), packed=True))
    if bench.long:
        hold(bench, as_packed, LONG_PACKED)


def chunks(bench: Bench) -> None:
    """Chunks that continue a cache return what one call returns, longer than any window too."""
    draw, cases = random.Random(0), []
    for number in range(4):
        sizes: list[int] = []
        while (left := bench.tokens - sum(sizes)) >= FEWEST:
            size = draw.randint(FEWEST, left)
            sizes.append(size if left - size >= FEWEST else left)
        cases.append(Case(tuple((size, size) for size in sizes), declared=number % 2 == 0))
    hold(bench, as_whole, *cases)


def steps(bench: Bench) -> None:
    """Single tokens that continue a cache return what one call returns."""
    case = Case(((1, 1),) * bench.tokens)
    hold(bench, as_whole, case, Case(case.calls, declared=True))


def ragged(bench: Bench) -> None:
    """Rows that begin and advance by different numbers of tokens, or none, return what each returns alone."""
    tokens = bench.tokens
    hold(bench, as_alone, Case(((0, 2, tokens), (tokens, 1, 0), (1, 0, 3), (2, tokens // 2, 1), (0, 0, 1))))


def crop(bench: Bench) -> None:
    """What a cache is told to forget leaves no trace, be it the newest tokens or a whole row."""
    tokens, draw = bench.tokens, random.Random(3)
    calls = (tokens,) * 3, (4,) * 3
    newest = Case(calls, forgotten=((0, 3, 1), (0, 0, 0)))
    sizes = [(draw.randint(1, 6), draw.randint(0, 4)) for _ in range(8)]
    often = Case(
        tuple((kept + lost,) * 2 for kept, lost in sizes),
        forgotten=tuple((lost,) * 2 for _, lost in sizes),
    )
    hold(bench, as_alone, newest, often, Case(calls, emptied=1))


def kernels(bench: Bench) -> None:
    """The fast kernels return what the slow obvious ones return: over a cache, padded and packed too."""
    tokens = bench.tokens
    hold(bench, _kernels, Case.of(2, tokens), Case.of(2, tokens - 3, 2, 1), Case(((tokens, 3), (1, 2))))
    hold(bench, _packed_kernels, Case(((5, 1, tokens, 3),), packed=True))


def _packed_kernels(bench: Bench, case: Case) -> None:
    fast, slow = bench.model(), bench.model()
    slow.attention = "reference"
    found, expected = (packed(bench, model, case)[0] for model in (fast, slow))
    expect_close(found, expected, "the fast kernel over packed sequences")


def _kernels(bench: Bench, case: Case) -> None:
    fast, slow, text = bench.model(), bench.model(), text_of(bench, case)
    slow.attention = "reference"
    both = (feed(bench, model, case, text) for model in (fast, slow))
    for b, (parts, expected) in enumerate(zip(*both, strict=True)):
        expect_close(torch.cat(parts), torch.cat(expected), "the fast kernel", row=b)
