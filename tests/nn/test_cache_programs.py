"""Random programs over a cache: whatever is fed and done with it, logits are those of each row's own tokens."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from composer.errors import CacheError, ComposerError
from composer.nn import HybridCache, Model
from composer.nn.snapshots import Snapshot

from .. import prove
from .hybrids import hybrid
from .models import VOCAB

SEEDS = 40
GROUPS = 20
MOST = 56
LEAST = 1e-5
"""The error that needs no excuse; beyond it, three times what the row differs from itself without a cache."""
CLAIM = "random programs of cache operations over all kinds of memory, logits without a cache"


@dataclass
class Row:
    """What a row has been fed, and the most it has had since it was empty."""

    tokens: list[int] = field(default_factory=list)
    reached: int = 0

    def copy(self) -> Row:
        """Another row of the same tokens."""
        return replace(self, tokens=list(self.tokens))


class Boom(nn.Module):
    """Fails in the middle of a call."""

    def forward(self, *_: object) -> Tensor:
        raise KeyboardInterrupt("in the middle")


class Program:
    """A model, a cache of it, and what every row of the cache should remember."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.draw = draw = random.Random(seed)
        self.seed, self.file = seed, folder / f"{seed}.safetensors"
        self.model: Model = hybrid(seed)
        self.limit, self.rollback = draw.choice([None, MOST]), draw.choice([0, 1, 2, 3, 5])
        self.rows = [Row() for _ in range(draw.randint(1, 3))]
        self.cache = self.new(len(self.rows))
        slots = [slot for layer in self.model.plan.layers for slot in layer.slots().values()]
        self.bounded = any(slot.kind == "recurrent" or slot.window is not None for slot in slots)
        self.kept: list[tuple[Snapshot, list[Row]]] = []
        self.done: list[str] = []
        self.worst = 0.0

    def new(self, rows: int) -> HybridCache:
        """An empty cache."""
        return self.model.new_cache(rows, self.limit, self.rollback)

    def run(self) -> None:
        """A dozen operations, a file among them, and a call that fails at the end."""
        every: list[Callable[[], None]] = [
            self.forget, self.forget, self.crop, self.empty, self.reorder, self.select, self.repeat, self.join,
            self.keep, self.keep, self.go_back, self.go_back, self.copy, self.to_file, self.refuse,
        ]  # fmt: skip
        for number in range(self.draw.randint(4, 14)):
            if self.draw.random() < 0.7:
                self.feed()
            act = self.to_file if number == 1 else self.draw.choice(every)
            act()
            self.done.append(act.__name__)
            assert self.cache.lengths == [len(row.tokens) for row in self.rows], self.about
            assert self.cache.nbytes == self.cache.report().nbytes, self.about
        self.feed()
        self.fail()
        self.feed()

    @property
    def about(self) -> str:
        """What to run again."""
        return f"seed {self.seed}, pattern {self.model.plan.spec.pattern}: {self.done}"

    # Feeding.

    def feed(self) -> None:
        """One token a row, one chunk, or rows of different lengths under padding on either side."""
        draw, room = self.draw, MOST - max(len(row.tokens) for row in self.rows)
        width = min(room, draw.choice([1, 1, 1, 2, 3, 5, 8, 13]))
        if not width:
            return
        counts = [width] * len(self.rows)
        if draw.random() < 0.4:
            counts = [draw.randint(0, width) for _ in self.rows]
        new = [[draw.randrange(VOCAB) for _ in range(count)] for count in counts]
        ids, mask = self.padded(new, width, left=draw.random() < 0.5)
        self.model.attention = draw.choice(["sdpa", "reference"])
        self.done.append(f"feed{counts}")
        out = self.model(ids, attention_mask=self.widened(mask), past_key_values=self.cache).logits
        assert out is not None
        for b, row in enumerate(self.rows):
            row.tokens.extend(new[b])
            row.reached = max(row.reached, len(row.tokens))
            self.compare(row.tokens, out[b][mask[b] == 1])

    def padded(self, new: list[list[int]], width: int, left: bool) -> tuple[Tensor, Tensor]:
        """(B, width) ids and mask."""
        ids, mask = torch.zeros(len(new), width, dtype=torch.long), torch.zeros(len(new), width).long()
        for b, tokens in enumerate(new):
            span = slice(width - len(tokens), width) if left else slice(0, len(tokens))
            ids[b, span], mask[b, span] = torch.tensor(tokens, dtype=torch.long), 1
        return ids, mask

    def widened(self, mask: Tensor) -> Tensor | None:
        """The mask of the new tokens, none where it says nothing, or with what is remembered on its left."""
        if bool(mask.all()) and self.draw.random() < 0.5:
            return None
        if self.draw.random() < 0.5:
            return mask
        past = max(len(row.tokens) for row in self.rows)
        held = [[0] * (past - len(row.tokens)) + [1] * len(row.tokens) for row in self.rows]
        return torch.cat([torch.tensor(held, dtype=torch.long).view(len(held), past), mask], 1)

    def compare(self, tokens: list[int], new: Tensor) -> None:
        """Logits of the newest tokens of a row against the row alone, without a cache."""
        if not len(new):
            return
        expected = self.alone(self.model, tokens, "reference")[-len(new) :]
        error = apart(new, expected)
        if error > LEAST:
            error *= LEAST / max(LEAST, 3 * self.spread(tokens, expected))
        self.worst = max(self.worst, error / LEAST)
        assert self.worst <= 1, f"{self.about}, {len(tokens)} tokens: {self.worst}"

    def spread(self, tokens: list[int], expected: Tensor) -> float:
        """How far the row without a cache is from itself: by another kernel, in float64, and where every
        number it begins with is off by a rounding of float32."""
        count, exact = len(expected), copy.deepcopy(self.model).double()
        kernel = self.alone(self.model, tokens, "sdpa")[-count:]
        truth = self.alone(exact, tokens, "reference")[-count:]
        begun = exact.embed(torch.tensor([tokens]))
        found = [apart(kernel, expected), apart(expected.double(), truth)]
        for seed in range(8):
            noise = torch.rand(begun.shape, generator=torch.Generator().manual_seed(seed)).double() * 2 - 1
            logits = exact(inputs_embeds=begun * (1 + noise * torch.finfo(torch.float32).eps)).logits
            assert logits is not None
            found.append(apart(logits[0, -count:], truth))
        return max(found)

    @staticmethod
    def alone(model: Model, tokens: list[int], attention: str) -> Tensor:
        """(T, V) logits of a row by itself."""
        model.attention = attention
        logits = model(torch.tensor([tokens])).logits
        assert logits is not None
        return logits[0]

    # Forgetting.

    def able(self) -> list[int]:
        """How many of its newest tokens each row can forget."""
        return [
            min(len(row.tokens), max(0, self.rollback - row.reached + len(row.tokens)))
            if self.bounded
            else len(row.tokens)
            for row in self.rows
        ]

    def forget(self) -> None:
        """Different numbers of tokens of each row, or the same of all; a whole row at times."""
        assert self.cache.max_rollback() == self.able(), self.about
        dropped = [self.draw.randint(0, most) for most in self.able()]
        if self.draw.random() < 0.3:
            row = self.draw.randrange(len(dropped))
            dropped[row] = len(self.rows[row].tokens)
        elif self.draw.random() < 0.5:
            dropped = [min(dropped)] * len(dropped)
        single = len(set(dropped)) == 1 and self.draw.random() < 0.5
        self.cache.rollback(dropped[0] if single else torch.tensor(dropped))
        self.cut([len(row.tokens) - n for row, n in zip(self.rows, dropped, strict=True)])

    def crop(self) -> None:
        """The same by what is kept."""
        lengths = [len(row.tokens) for row in self.rows]
        kept = [self.draw.randint(n - most, n) for n, most in zip(lengths, self.able(), strict=True)]
        if self.draw.random() < 0.5:
            limit = max(kept)
            if all(n - min(n, limit) <= most for n, most in zip(lengths, self.able(), strict=True)):
                self.cache.crop(limit)
                return self.cut([min(n, limit) for n in lengths])
        self.cache.crop(kept)
        return self.cut(kept)

    def cut(self, lengths: list[int]) -> None:
        """Keep the oldest tokens of each row."""
        for row, length in zip(self.rows, lengths, strict=True):
            del row.tokens[length:]
            row.reached = row.reached if length else 0

    def refuse(self) -> None:
        """One token further back than can be, where the first row is long enough; nothing moves."""
        before = self.cache.lengths
        asked = self.able()[0] + 1
        if asked >= before[0] and self.bounded:
            return
        match = "and can go back" if self.bounded else "cannot forget"
        with pytest.raises(CacheError, match=match):
            self.cache.rollback([asked, *self.able()[1:]])
        assert before == self.cache.lengths, self.about

    def empty(self) -> None:
        """Some rows, or all."""
        rows = self.draw.sample(range(len(self.rows)), self.draw.randint(1, len(self.rows)))
        if self.draw.random() < 0.2:
            self.cache.reset()
            rows = list(range(len(self.rows)))
        else:
            self.cache.reset(rows)
        for row in rows:
            self.rows[row] = Row()

    # Rows.

    def reorder(self) -> None:
        """As beams do."""
        index = [self.draw.randrange(len(self.rows)) for _ in self.rows]
        self.cache.reorder(torch.tensor(index))
        self.rows = [self.rows[row].copy() for row in index]

    def select(self) -> None:
        """Up to four rows, some of them twice."""
        index = [self.draw.randrange(len(self.rows)) for _ in range(self.draw.randint(1, 4))]
        self.cache.select(index)
        self.rows = [self.rows[row].copy() for row in index]

    def repeat(self) -> None:
        """Every row two times, if there are few."""
        if len(self.rows) < 3:
            self.cache.repeat(2)
            self.rows = [row.copy() for row in self.rows for _ in range(2)]

    def join(self) -> None:
        """With a cache of other rows, on either side."""
        if len(self.rows) > 3:
            return
        mine, self.rows = (self.cache, self.rows), [Row()]
        self.cache = self.new(1)
        for _ in range(self.draw.randint(0, 2)):
            self.feed()
        parts = [mine, (self.cache, self.rows)]
        self.draw.shuffle(parts)
        self.cache = HybridCache.concatenate([cache for cache, _ in parts])
        self.rows = [row.copy() for _, rows in parts for row in rows]
        self.kept = []

    # Moments and files.

    def keep(self) -> None:
        """A snapshot."""
        self.kept.append((self.cache.snapshot(), [row.copy() for row in self.rows]))

    def go_back(self) -> None:
        """To any snapshot, as often as it comes."""
        if self.kept:
            snapshot, rows = self.draw.choice(self.kept)
            self.cache.restore(snapshot)
            self.rows = [row.copy() for row in rows]

    def copy(self) -> None:
        """Going on with a copy, while the other is fed something else."""
        other, mine = self.cache, [row.copy() for row in self.rows]
        self.cache, self.kept = copy.deepcopy(other), []
        if self.model.plan.sizes and max(len(row.tokens) for row in mine) < MOST:
            self.model(torch.zeros(len(mine), 1, dtype=torch.long), past_key_values=other)

    def to_file(self) -> None:
        """And back."""
        before = self.cache.report()
        self.cache.save(self.file)
        self.cache, self.kept = HybridCache.load(self.file, self.model), []
        assert self.limit is None or before == self.cache.report(), self.about

    def fail(self) -> None:
        """A call that raises: the cache is of no use until it is emptied or goes back to a snapshot."""
        self.keep()
        place = self.draw.randrange(len(self.model.layers) + 1)
        whole = self.model.head if place == len(self.model.layers) else self.model.layers[place]
        self.swap(place, Boom())
        ids = torch.zeros(len(self.rows), self.draw.choice([1, 2, 9]), dtype=torch.long)
        ids = ids[:, : MOST - max(len(row.tokens) for row in self.rows)]
        if ids.shape[1]:
            with pytest.raises(KeyboardInterrupt):
                self.model(ids, past_key_values=self.cache)
            self.swap(place, whole)
            self.unusable(ids)
        self.swap(place, whole)
        if self.draw.random() < 0.3:
            self.cache.reset()
            self.rows = [Row() for _ in self.rows]
        else:
            self.go_back()

    def swap(self, place: int, module: nn.Module | None) -> None:
        """Put a module in the place of a layer or the head."""
        if place == len(self.model.layers):
            self.model.head = module  # type: ignore[assignment]  # that is the fault
        else:
            self.model.layers[place] = module or Boom()

    def unusable(self, ids: Tensor) -> None:
        """Every operation says so."""
        cache = self.cache
        for act in (
            lambda: self.model(ids, past_key_values=cache), lambda: cache.rollback(0), lambda: cache.crop(0),
            lambda: cache.reorder(range(cache.batch_size)), lambda: cache.select([0]), lambda: cache.repeat(1),
            lambda: cache.reset([0]), cache.snapshot, lambda: cache.to("cpu"), lambda: cache.save(self.file),
            lambda: HybridCache.concatenate([cache]), cache.to_legacy,
        ):  # fmt: skip
            with pytest.raises(
                ComposerError, match="a call failed half-way .KeyboardInterrupt: in the middle"
            ):
                act()


def apart(actual: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest value; infinite where a number is missing."""
    found = float((actual - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
    return found if found == found else float("inf")


@pytest.mark.parametrize("group", range(GROUPS))
@torch.no_grad()
def test_any_program_equals_no_cache(group: int, tmp_path: Path) -> None:
    """Each of some programs; a thousand when proving."""
    each = prove.cases(SEEDS, 1000) // GROUPS
    for seed in range(group * each, (group + 1) * each):
        program = Program(seed, tmp_path)
        program.run()
        prove.at_most(CLAIM, program.worst, 1)
