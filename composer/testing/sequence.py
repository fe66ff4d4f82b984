"""Checks of a block over a sequence: who sees whom, padding, packing, memory."""

from __future__ import annotations

import random
from contextlib import suppress

import torch
from torch import Tensor

from composer.errors import CacheError
from composer.nn import HybridCache, Model

from .bench import TOLERANCE, Bench, broken, expect, expect_close


def shape(bench: Bench) -> None:
    """(batch, tokens, reads) becomes (batch, tokens, writes) of the same dtype, for one token and many."""
    model = bench.model()
    returned: list[Tensor] = []
    bench.mixer(model).register_forward_hook(lambda _, given, out: returned.append(out), prepend=True)
    for rows, tokens in ((1, 1), (2, 7), (3, 1)):
        bench.run(model, bench.input(rows, tokens))
        found, wanted = tuple(returned[-1].shape), (rows, tokens, bench.site.writes)
        expect(found == wanted, f"it returns shape {found}, not {wanted}")
        expect(returned[-1].dtype == torch.float32, f"it returns {returned[-1].dtype} for torch.float32")


def influence(bench: Bench, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """(T, T) how much output i moves when token j is replaced, at [j, i]; and whether i is said to see j."""
    tokens = bench.tokens
    x = bench.input(1, tokens).repeat(tokens + 1, 1, 1)
    index = torch.arange(tokens)
    x[index, index] = bench.input(1, tokens, seed=1)[0]
    out = bench.run(bench.model(dtype=dtype), x.to(dtype))
    moved = (out[:-1] - out[-1:]).abs().amax(-1) / out.abs().max().clamp_min(1e-30)
    seen = bench.block.sees(index[None, :], index[:, None])
    return moved, torch.as_tensor(seen).expand(tokens, tokens)


def sees_no_more(bench: Bench) -> None:
    """Replacing a token changes nothing where `sees` says it is not seen; later tokens are never seen."""
    moved, seen = influence(bench)
    for key, query in (moved > TOLERANCE).logical_and(~seen).nonzero().tolist():
        broken(f"token {query} depends on token {key}, which `sees` says it does not see")
    for key, query in seen.nonzero().tolist():
        expect(key <= query, f"`sees` says that token {query} sees the later token {key}")
        expect(bench.block.sees(query, key), f"`sees` of the ints {query} and {key} is not that of tensors")


def sees_no_less(bench: Bench) -> None:
    """At every distance at which `sees` says tokens are seen, replacing one changes something."""
    distance = blind(bench, torch.float32)
    if distance is not None:  # a memory that fades fast leaves less than float32 holds beside what is new
        with suppress(RuntimeError):  # not every block computes in float64
            distance = blind(bench, torch.float64)
    expect(distance is None, f"no token depends on the one {distance} before, `sees` says so")


def blind(bench: Bench, dtype: torch.dtype) -> int | None:
    """The first distance at which no token moves another, though `sees` says it does."""
    moved, seen = influence(bench, dtype)
    for distance in range(bench.tokens):
        pairs = seen.diagonal(distance)
        if pairs.any() and not (moved.diagonal(distance)[pairs] > 0).any():
            return distance
    return None


def rows(bench: Bench) -> None:
    """A row of a batch returns what it returns alone."""
    model, x = bench.model(), bench.input(3, bench.tokens)
    for b, row in enumerate(bench.alone(model, x, [bench.tokens] * 3)):
        expect_close(bench.run(model, x)[b], row, f"row {b} of a batch")


def right_padding(bench: Bench) -> None:
    """Padding after a row changes nothing, neither in that call nor in those that continue it."""
    _padding(bench, left=False)


def left_padding(bench: Bench) -> None:
    """Padding before a row changes nothing, neither in that call nor in those that continue it."""
    _padding(bench, left=True)


def _padding(bench: Bench, left: bool) -> None:
    model, tokens = bench.model(), bench.tokens
    lengths = [tokens, tokens - 4, 1]
    x, more = bench.input(3, tokens), bench.input(3, 2, seed=1)
    padded, mask = bench.input(3, tokens, seed=2), torch.zeros(3, tokens, dtype=torch.int64)
    spans = [slice(tokens - n, tokens) if left else slice(0, n) for n in lengths]
    for b, span in enumerate(spans):
        padded[b, span], mask[b, span] = x[b, : lengths[b]], 1
    cache = model.new_cache(3)
    out = bench.run(model, padded, attention_mask=mask, past_key_values=cache)
    then = bench.run(model, more, past_key_values=cache)
    for b, n in enumerate(lengths):
        whole = bench.fed(model, torch.cat([x[b : b + 1, :n], more[b : b + 1]], 1), [n, 2])[0]
        expect_close(out[b, spans[b]], whole[:n], f"a padded row of {n} tokens")
        expect_close(then[b], whole[n:], f"what continues a padded row of {n} tokens")


def packing(bench: Bench) -> None:
    """Sequences packed into one row by segment_ids return what each returns alone."""
    model, lengths = bench.model(), (5, 1, bench.tokens, 3)
    x = bench.input(1, sum(lengths))
    segments = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))[None]
    packed = bench.run(model, x, segment_ids=segments).split(lengths, 1)
    for number, (part, out) in enumerate(zip(x.split(lengths, 1), packed, strict=True)):
        expect_close(out, bench.run(model, part), f"packed sequence {number}")


def chunks(bench: Bench) -> None:
    """Random chunks that continue a cache return what one call returns, longer than any window too."""
    draw = random.Random(0)
    for number in range(4):
        sizes: list[int] = []
        while sum(sizes) < bench.tokens:
            sizes.append(min(draw.randint(1, bench.tokens), bench.tokens - sum(sizes)))
        _continued(bench, sizes, bench.tokens if number % 2 else None)


def steps(bench: Bench) -> None:
    """Single tokens that continue a cache return what one call returns."""
    _continued(bench, [1] * bench.tokens, None)
    _continued(bench, [1] * bench.tokens, bench.tokens)


def _continued(bench: Bench, sizes: list[int], max_length: int | None) -> None:
    model, x = bench.model(), bench.input(2, bench.tokens)
    expected = bench.run(model, x)
    bound = "growing cache" if max_length is None else f"cache for {max_length}"
    out = bench.fed(model, x, sizes, model.new_cache(2, max_length))
    expect_close(out, expected, f"calls of {_runs(sizes)} tokens over a {bound}")


def _runs(sizes: list[int]) -> str:
    return "single" if set(sizes) == {1} else ", ".join(map(str, sizes))


def ragged(bench: Bench) -> None:
    """Rows that advance by different numbers of tokens in each call return what each returns alone."""
    model, draw = bench.model(), random.Random(1)
    x, rounds = bench.input(3, 3 * bench.tokens), 5
    counts = [[draw.randint(0, bench.tokens // 2) for _ in range(3)] for _ in range(rounds)]
    cache = model.new_cache(3)
    outs: list[list[Tensor]] = [[], [], []]
    for wanted in counts:
        _advance(bench, model, x, wanted, outs, cache)
    lengths = [sum(wanted[b] for wanted in counts) for b in range(3)]
    for b, n in enumerate(lengths):
        expected = bench.fed(model, x[b : b + 1, :n], [wanted[b] for wanted in counts])[0]
        expect_close(torch.cat(outs[b]), expected, f"row {b} of rows that advance apart")


def _advance(
    bench: Bench, model: Model, x: Tensor, counts: list[int], outs: list[list[Tensor]], cache: HybridCache
) -> None:
    """Feed the next `counts[b]` tokens of each row, right-padded."""
    width = max(1, *counts)
    taken = [sum(map(len, parts)) for parts in outs]
    part = torch.stack([x[b, start : start + width] for b, start in enumerate(taken)])
    mask = torch.arange(width) < torch.tensor(counts)[:, None]
    out = bench.run(model, part, attention_mask=mask.long(), past_key_values=cache)
    for b, count in enumerate(counts):
        outs[b].append(out[b, :count])


def crop(bench: Bench) -> None:
    """Tokens that a cache is told to forget leave no trace, or forgetting is refused."""
    model, tokens, forgotten = bench.model(), bench.tokens, [0, 3, 1]
    x, other = bench.input(3, tokens), bench.input(3, 4, seed=1)
    cache = model.new_cache(3, rollback=3)
    bench.run(model, x, past_key_values=cache)
    try:
        cache.rollback(forgotten)
    except CacheError:
        return
    out = bench.run(model, other, past_key_values=cache)
    for b, n in enumerate(forgotten):
        whole = torch.cat([x[b : b + 1, : tokens - n], other[b : b + 1]], 1)
        expected = bench.fed(model, whole, [tokens - n, 4])[0, tokens - n :]
        expect_close(out[b], expected, f"what follows after {n} tokens are forgotten")
    _back_and_forth(bench, model)


def _back_and_forth(bench: Bench, model: Model) -> None:
    """Rounds of a few tokens, of which some are forgotten again, up to as many as the cache was made for."""
    draw, most = random.Random(3), 4
    x, cache, straight, kept = bench.input(2, 64), model.new_cache(2, rollback=most), model.new_cache(2), 0
    for _ in range(8):
        count = draw.randint(1, 6)
        junk = bench.input(2, draw.randint(0, most), seed=draw.randint(2, 99))
        part = x[:, kept : kept + count]
        out = bench.run(model, part, past_key_values=cache)
        expected = bench.run(model, part, past_key_values=straight)
        expect_close(out, expected, f"{count} tokens after {kept}, behind others that were forgotten")
        kept += count
        if junk.shape[1]:
            bench.run(model, junk, past_key_values=cache)
            cache.rollback(junk.shape[1])


def kernels(bench: Bench) -> None:
    """The fast attention kernel returns what the slow obvious one returns, with and without a cache."""
    fast, slow = bench.model(), bench.model()
    slow.attention = "reference"
    x, sizes = bench.input(2, bench.tokens), [bench.tokens - 3, 2, 1]
    expect_close(bench.run(fast, x), bench.run(slow, x), "the fast kernel")
    expect_close(bench.fed(fast, x, sizes), bench.fed(slow, x, sizes), "the fast kernel over a cache")
