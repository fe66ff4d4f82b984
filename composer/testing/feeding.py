"""A case fed to a model, and what the same tokens return otherwise: each row alone, or all at once.

W width of the stream.
"""

from __future__ import annotations

import torch
from torch import Tensor

from composer.nn import HybridCache, Model

from .bench import PADS, Bench
from .cases import Case, Counts
from .findings import expect_close


def text_of(bench: Bench, case: Case) -> Tensor:
    """(B, longest, W): what each row says, but for what it forgets."""
    return bench.input(case.rows, max(1, *case.lengths))


def new_cache(model: Model, case: Case) -> HybridCache | None:
    """A cache that the case fits, if it wants one."""
    back = max((count for counts in case.forgotten for count in counts), default=0)
    return model.new_cache(case.rows, case.most if case.declared else None, back) if case.cached else None


def feed(
    bench: Bench, model: Model, case: Case, text: Tensor, cache: HybridCache | None = None
) -> list[list[Tensor]]:
    """(kept, W) for each row and call: what the tokens return that are not forgotten."""
    cache = cache or new_cache(model, case)
    outs: list[list[Tensor]] = [[] for _ in range(case.rows)]
    for number, (counts, kept) in enumerate(zip(case.calls, case.kept, strict=True)):
        if cache is not None and case.emptied is not None and number == len(case.calls) - 1:
            cache.reset([case.emptied])
        taken = [sum(map(len, parts)) for parts in outs]
        said = [
            text[b, start : start + count] for b, (start, count) in enumerate(zip(taken, kept, strict=True))
        ]
        for parts, out in zip(outs, call(bench, model, case, counts, said, cache), strict=True):
            parts.append(out)
        if cache is not None and counts != kept:
            cache.rollback([count - some for count, some in zip(counts, kept, strict=True)])
    return outs


def call(
    bench: Bench, model: Model, case: Case, counts: Counts, said: list[Tensor], cache: HybridCache | None
) -> list[Tensor]:
    """What each row's tokens return in one call; rows are filled with noise to their counts and to the longest."""
    width = max(1, *counts)
    x, mask = bench.input(case.rows, width, seed=PADS), torch.zeros(case.rows, width, dtype=torch.int64)
    starts = [width - count if case.side == "left" else 0 for count in counts]
    for b, (start, count, part) in enumerate(zip(starts, counts, said, strict=True)):
        x[b, start : start + len(part)], mask[b, start : start + count] = part, 1
    padded = {} if bool(mask.all()) else {"attention_mask": mask}
    out = bench.run(model, x, past_key_values=cache, **padded)
    return [
        out[b, start : start + len(part)] for b, (start, part) in enumerate(zip(starts, said, strict=True))
    ]


def as_alone(bench: Bench, case: Case) -> None:
    """Every row of a case returns what it returns alone, in calls of the same tokens."""
    model, text = bench.model(), text_of(bench, case)
    for b, parts in enumerate(feed(bench, model, case, text)):
        alone = case.alone(b)
        first = len(parts) - 1 if b == case.emptied else 0  # an emptied row is compared from there on
        skipped = sum(map(len, parts[:first]))
        if alone.calls:
            (expected,) = feed(bench, model, alone, text[b : b + 1, skipped:])
            what = f"row {b} of {case.rows}" if case.rows > 1 else "what it returns"
            expect_close(torch.cat(parts[first:]), torch.cat(expected), what, row=b, token=skipped)


def as_whole(bench: Bench, case: Case) -> None:
    """The calls of a case return what one call of all tokens does."""
    model, text = bench.model(), text_of(bench, case)
    expected = bench.run(model, text)
    for b, parts in enumerate(feed(bench, model, case, text)):
        expect_close(torch.cat(parts), expected[b], "what calls return that continue a cache", row=b)


def packed(bench: Bench, model: Model, case: Case) -> Tensor:
    """(1, T, W): what a row of packed sequences returns."""
    (lengths,) = case.calls
    segments = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]
    return bench.run(model, bench.input(1, sum(lengths)), segment_ids=segments)


def as_packed(bench: Bench, case: Case) -> None:
    """Sequences packed into one row return what each returns alone."""
    model, (lengths,) = bench.model(), case.calls
    out, x, start = packed(bench, model, case), bench.input(1, sum(lengths)), 0
    for number, length in enumerate(lengths):
        span = slice(start, start + length)
        if length:
            what = f"packed sequence {number}"
            expect_close(out[0, span], bench.run(model, x[:, span])[0], what, token=start)
        start += length
