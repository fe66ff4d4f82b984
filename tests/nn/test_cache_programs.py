"""Random programs over a cache: whatever is fed, padded, chunked and forgotten, logits are the uncached ones."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from composer.errors import CacheError
from composer.nn import HybridCache, Model

from .. import prove
from .models import VOCAB, close, model

WINDOWS = (None, 1, 2, 3, 4, 7, 30)
SEEDS = 100
GROUPS = 20


class Program:
    """A cache, the tokens that each row has been fed, and the ways to feed and forget."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = random.Random(seed)
        windows = [draw.choice(WINDOWS) for _ in range(draw.randint(1, 3))]
        self.model: Model = model(windows, seed, num_key_value_heads=draw.choice([1, 2, 4]))
        self.rollback = draw.choice([0, 1, 3, 5])
        self.rings = any(window is not None for window in windows)
        self.rows: list[list[int]] = [[] for _ in range(draw.randint(1, 3))]
        self.reached = [0] * len(self.rows)
        self.most = 60
        self.cache: HybridCache = self.model.new_cache(
            len(self.rows), draw.choice([None, self.most]), self.rollback
        )
        self.about = f"seed {seed}: windows {windows}, rollback {self.rollback}, "

    def run(self) -> None:
        """Up to a dozen operations, with room at the end left unused at times."""
        for _ in range(self.draw.randint(2, 12)):
            if self.draw.random() < 0.3:
                self.forget()
            else:
                self.feed()
            assert self.cache.lengths == [len(row) for row in self.rows], self.about

    def forget(self) -> None:
        """Different numbers of tokens of each row, or the same of all; too many are refused."""
        most = self.rollback if self.rings else self.most
        dropped = [
            self.draw.randint(0, min(len(row), most - (reached - len(row))))
            for row, reached in zip(self.rows, self.reached, strict=True)
        ]
        if self.draw.random() < 0.5:
            dropped = [min(dropped)] * len(dropped)
        if self.rings and self.draw.random() < 0.3:
            self.refuse()
        self.cache.rollback(dropped if self.draw.random() < 0.5 or len(set(dropped)) > 1 else dropped[0])
        self.rows = [row[: len(row) - n] for row, n in zip(self.rows, dropped, strict=True)]
        self.reached = [most if row else 0 for most, row in zip(self.reached, self.rows, strict=True)]

    def refuse(self) -> None:
        """One token further back than the rings can go, where the first row is long enough; nothing moves."""
        length = self.reached[0] - self.rollback - 1
        if length < 1:  # a whole row can always be forgotten
            return
        before = list(self.cache.lengths)
        with pytest.raises(CacheError, match="is a ring"):
            self.cache.rollback([before[0] - length, *[0] * (len(before) - 1)])
        assert before == self.cache.lengths, self.about

    def feed(self) -> None:
        """One token a row, one chunk, or rows of different lengths under padding on either side."""
        draw, room = self.draw, self.most - max(map(len, self.rows))
        width = min(room, draw.choice([1, 1, 2, 3, 5, 8, 13, 34]))
        if not width:
            return
        counts = [width] * len(self.rows)
        if draw.random() < 0.5:
            counts = [draw.randint(0, width) for _ in self.rows]
        new = [[draw.randrange(VOCAB) for _ in range(count)] for count in counts]
        ids, mask = self.padded(new, width, left=draw.random() < 0.5)
        self.model.attention = draw.choice(["sdpa", "reference"])
        with torch.no_grad():
            out = self.model(ids, attention_mask=self.widened(mask), past_key_values=self.cache).logits
        assert out is not None
        for b, row in enumerate(self.rows):
            row.extend(new[b])
            self.reached[b] = max(self.reached[b], len(row))
            self.compare(row, out[b][mask[b] == 1])

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
        past = max(map(len, self.rows))
        held = [[0] * (past - len(row)) + [1] * len(row) for row in self.rows]
        return torch.cat([torch.tensor(held, dtype=torch.long).view(len(held), past), mask], 1)

    def compare(self, row: list[int], new: Tensor) -> None:
        """Logits of the newest tokens of a row against the row alone, without a cache."""
        if not len(new):
            return
        self.model.attention = "reference"
        with torch.no_grad():
            expected = self.model(torch.tensor([row])).logits
        assert expected is not None
        assert close(new, expected[0, -len(new) :]), f"{self.about}after {len(row)} tokens"


@pytest.mark.parametrize("group", range(GROUPS))
def test_any_program_equals_no_cache(group: int) -> None:
    """A hundred programs; two thousand when proving."""
    each = prove.cases(SEEDS, 2000) // GROUPS
    for seed in range(group * each, (group + 1) * each):
        Program(seed).run()
    prove.counted("random programs over a cache, logits without it", each)
