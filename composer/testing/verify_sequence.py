"""A text at once, in pieces, padded, packed and long: the same numbers come out every time.

B rows, T tokens, V the last dimension of what is compared.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from composer.errors import ComposerError
from composer.nn import HybridCache, Model, build
from composer.nn.build import place
from composer.nn.states import States
from composer.plan import HeadPlan

from .bench import first_line
from .verify_rows import Row, judged, unchecked
from .verify_subject import ROWS, SHORTEST, Subject, longest_window, stretched

FLOOR = 1e-5
MOST = 100  # times the floor: what the two kernels may differ by, and so excuse
ROUNDINGS = 2  # of all weights: one comparison alone is a single sample of what rounding does
PIECE = 64
EACH_TOKEN = ("base", "causal-lm", "token-classification")
GROWTH = 8.0  # times that a state may grow from one half of a long text to the other


class Sequences:
    """The calls that are compared, all over the same random text."""

    def __init__(self, subject: Subject, model: Model) -> None:
        self.subject, self.whole = subject, model
        self.model = model if model.plan.head.kind in EACH_TOKEN else body(model)
        self.tokens = subject.tokens
        self.ids = subject.ids(ROWS, subject.room)
        self.draw = random.Random(subject.seed)

    def cache(self, rows: int) -> HybridCache:
        """A cache with room for every text that is fed here; told ahead, for ropes that depend on it."""
        return self.model.new_cache(rows, max_length=self.subject.room)

    @torch.no_grad()
    def run(
        self, ids: Tensor, cache: HybridCache | None = None, model: Model | None = None, **call: Tensor
    ) -> Tensor:
        """(B, T, V): the logits of each token, or the last stream of a model that makes none of each."""
        out = (self.model if model is None else model)(ids, past_key_values=cache, **call)
        found = out.last_hidden_state if out.logits is None else out.logits
        assert found is not None
        return found

    def fed(self, ids: Tensor, sizes: Sequence[int], cache: HybridCache | None = None) -> Tensor:
        """The same in calls of these sizes, over a cache."""
        cache = cache or self.cache(len(ids))
        return torch.cat([self.run(part, cache) for part in ids.split(list(sizes), 1)], 1)

    @cached_property
    def text(self) -> Tensor:
        """(B, tokens) the text that is fed in every way."""
        return self.ids[:, : self.tokens]

    @cached_property
    def expected(self) -> Tensor:
        """(B, tokens, V) in one call without a cache."""
        return self.run(self.text)

    @cached_property
    def spread(self) -> float:
        """How far the plain attention kernel is from the usual one."""
        expected, usual = self.expected, self.model.attention
        self.model.attention = "reference"
        try:
            return apart(self.run(self.text), expected)
        finally:
            self.model.attention = usual

    @cached_property
    def rounding(self) -> float:
        """How far the model is from itself when every weight is rounded once; 0 where no copy of it fits."""
        if self.subject.short_of(self.subject.needs + self.subject.weight_bytes):
            return 0.0
        return max(apart(self.moved(seed), self.expected) for seed in range(ROUNDINGS))

    def moved(self, seed: int) -> Tensor:
        """(B, tokens, V) with every weight at the next number, up or down."""
        other, generator = copy.deepcopy(self.model), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in other.parameters():
                up = torch.rand(weight.shape, generator=generator) < 0.5
                weight.copy_(torch.nextafter(weight, torch.where(up, torch.inf, -torch.inf).to(weight)))
        return self.run(self.text, model=other)

    @cached_property
    def allowed(self) -> float:
        """The larger of a floor and three times what kernels and roundings make, which is bounded itself."""
        return max(self.floor, min(3 * max(self.spread, self.rounding), MOST * self.floor))

    @property
    def floor(self) -> float:
        """What is allowed in any case: more where the type is coarse."""
        return max(FLOOR, 4 * torch.finfo(self.subject.dtype).eps)

    def judged(self, check: str, compared: str, difference: float) -> Row:
        """A row with the tolerance of this case."""
        return judged(check, compared, difference, self.allowed)

    def pieces(self) -> list[int]:
        """Random sizes that add up to the text."""
        cuts = sorted(self.draw.sample(range(1, self.tokens), min(self.tokens - 1, self.draw.randint(1, 7))))
        return [b - a for a, b in zip([0, *cuts], [*cuts, self.tokens], strict=True)]


def body(model: Model) -> Model:
    """The same weights without a head that answers once a row."""
    plan = replace(model.plan, head=HeadPlan("base", tied=model.plan.head.tied, bias=False))
    bare, tensors = build(plan, device="meta", dtype=model.dtype), dict(model.named_parameters())
    for name in plan.parameters():
        place(bare, name, tensors[name])
    return bare


def apart(actual: Tensor, expected: Tensor) -> float:
    """The largest difference, in units of the largest expected value; infinite where a number is missing."""
    difference = (actual.double() - expected.double()).abs().max() / expected.double().abs().max().clamp_min(
        1e-30
    )
    return float(difference) if bool(difference.isfinite()) else float("inf")


def sequence_rows(subject: Subject) -> Iterator[Row]:
    """Every row about a running model; a check that raises is wrong, one without a model is not checked."""
    model = subject.model
    sequences = None if model is None else Sequences(subject, model)
    for check, (compared, look) in CHECKS.items():
        if sequences is None or subject.tokens < SHORTEST:
            yield unchecked(check, compared, subject.missing or f"the model takes no {SHORTEST} tokens")
            continue
        subject.progress(check)
        yield from looked(check, compared, look, sequences)


def looked(
    check: str, compared: str, look: Callable[[Sequences], Iterator[Row]], sequences: Sequences
) -> Iterator[Row]:
    """What a check says, or what it raised."""
    try:
        yield from look(sequences)
    except MemoryError:
        yield unchecked(check, compared, "there is not enough memory")
    except Exception as error:  # whatever a block's code raises
        problem = error.problems[0].message if isinstance(error, ComposerError) else first_line(error)
        yield Row(check, compared, "WRONG", f"it raised {type(error).__name__}: {problem}")


def kernels(s: Sequences) -> Iterator[Row]:
    """The two attention kernels; three times their own difference would excuse anything, so it is the bound."""
    yield judged("kernels", "the plain attention kernel with the usual one", s.spread, MOST * s.floor)


def whole(s: Sequences) -> Iterator[Row]:
    """One call into a cache."""
    window = longest_window(s.model.plan)
    short = f"; the window of {window:,} is not reached" if window >= s.tokens else ""
    out = s.fed(s.text, [s.tokens])
    compared = f"one call of {s.tokens:,} tokens into a cache with one without{short}"
    yield s.judged("cached, whole", compared, apart(out, s.expected))


def single(s: Sequences) -> Iterator[Row]:
    """Token by token."""
    out = s.fed(s.text, [1] * s.tokens)
    yield s.judged(
        "cached, one by one", f"{s.tokens:,} calls of one token with one call", apart(out, s.expected)
    )


def chunks(s: Sequences) -> Iterator[Row]:
    """Random pieces, over caches of declared and of open length."""
    worst, told = 0.0, []
    for number in range(4):
        sizes = s.pieces()
        opened = number % 2 == 1 and not stretched(s.model.plan)
        cache = s.model.new_cache(ROWS) if opened else None
        worst = max(worst, apart(s.fed(s.text, sizes, cache), s.expected))
        told.append(len(sizes))
    compared = f"4 random splits into {min(told)} to {max(told)} calls with one call"
    yield s.judged("cached, chunks", compared, worst)


def right_padding(s: Sequences) -> Iterator[Row]:
    """Pads after each row, and what continues it."""
    yield from padding(s, left=False)


def left_padding(s: Sequences) -> Iterator[Row]:
    """Pads before each row, and what continues it."""
    yield from padding(s, left=True)


def padding(s: Sequences, left: bool) -> Iterator[Row]:
    """Rows of different lengths in one padded batch against each alone, over caches, then two tokens more."""
    tokens = s.tokens - 2
    lengths = [tokens, max(1, tokens - 5), 1]
    rows = s.subject.ids(3, s.tokens)
    padded, mask = s.subject.ids(3, tokens), torch.zeros(3, tokens, dtype=torch.int64)
    spans = [slice(tokens - n, tokens) if left else slice(0, n) for n in lengths]
    for b, (span, n) in enumerate(zip(spans, lengths, strict=True)):
        padded[b, span], mask[b, span] = rows[b, :n], 1
    cache = s.cache(3)
    out = s.run(padded, cache, attention_mask=mask)
    more = torch.stack([rows[b, n : n + 2] for b, n in enumerate(lengths)])
    then = s.run(more, cache)
    first, second = 0.0, 0.0
    for b, (span, n) in enumerate(zip(spans, lengths, strict=True)):
        alone = s.fed(rows[b : b + 1, : n + 2], [n, 2])[0]
        first = max(first, apart(out[b, span], alone[:n]))
        second = max(second, apart(then[b], alone[n:]))
    side, each = ("left", "before") if left else ("right", "after")
    yield s.judged(
        f"padding, {side}", f"rows of {listed(lengths)} tokens with pads {each} them with each alone", first
    )
    yield s.judged(f"padding, {side}, then on", "2 tokens more after those with each row alone", second)


def packing(s: Sequences) -> Iterator[Row]:
    """Several texts in one row against each alone."""
    third = max(1, s.tokens // 3)
    lengths = [third] * 3 if stretched(s.model.plan) else [third, 1, max(1, s.tokens - third - 1)]
    ids = s.ids[:1, : sum(lengths)]
    segments = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    packed = s.run(ids, segment_ids=segments).split(lengths, 1)
    alone = [s.run(part) for part in ids.split(lengths, 1)]
    worst = max(apart(a, b) for a, b in zip(packed, alone, strict=True))
    yield s.judged("packing", f"texts of {listed(lengths)} tokens in one row with each alone", worst)


def long_run(s: Sequences) -> Iterator[Row]:
    """Twice the text in pieces: bytes as counted, numbers that do not run away, and what follows stays right."""
    room, cache = s.subject.room, s.cache(ROWS)
    piece = max(1, min(PIECE, room // 8))  # a state that forgets fast is looked at more than once
    outs, sizes = list[Tensor](), list[float]()
    for part in s.ids.split(piece, 1):
        outs.append(s.run(part, cache))
        sizes.append(largest_state(cache))
    counted = s.model.plan.cache_bytes(room, ROWS, element_size=s.model.dtype.itemsize)
    compared = f"a cache after {room:,} tokens with what is counted for so many"
    yield judged("state, bytes", compared, abs(cache.nbytes - counted), 0, "bytes", "it takes another number")
    half = (len(sizes) + 1) // 2
    if any(sizes):
        growth = max(sizes[half:], default=0.0) / max(sizes[:half])
        compared = (
            f"the largest number in a state over the second half of {room:,} tokens with that over the first"
        )
        yield judged("state, size", compared, growth, GROWTH, "times", "it runs away")
    expected = s.run(s.ids)[:, -PIECE:]
    compared = f"the last {expected.shape[1]} of {room:,} tokens in pieces of {piece} with one call"
    yield s.judged("state, long run", compared, apart(torch.cat(outs, 1)[:, -PIECE:], expected))


def largest_state(cache: HybridCache) -> float:
    """The largest number in any recurrent state, 0 where there is none; infinite where one is no number."""
    states = [
        state
        for slots in cache.slots
        for kept in slots.values()
        if isinstance(kept, States)
        for state in kept.read().values()
    ]
    found = max((float(state.abs().max()) for state in states), default=0.0)
    return found if all(bool(state.isfinite().all()) for state in states) else float("inf")


def listed(lengths: Sequence[int]) -> str:
    """`5, 1 and 9`."""
    return ", ".join(f"{n:,}" for n in lengths[:-1]) + f" and {lengths[-1]:,}"


CHECKS: dict[str, tuple[str, Callable[[Sequences], Iterator[Row]]]] = {
    "kernels": ("the plain attention kernel with the usual one", kernels),
    "cached, whole": ("one call into a cache with one without", whole),
    "cached, one by one": ("calls of one token with one call", single),
    "cached, chunks": ("random splits with one call", chunks),
    "padding, right": ("padded rows with each alone, then continued", right_padding),
    "padding, left": ("padded rows with each alone, then continued", left_padding),
    "packing": ("texts in one row with each alone", packing),
    "state": ("a long run in pieces with one call, and its bytes", long_run),
}
