"""An n-gram language model with interpolated modified Kneser-Ney smoothing, over token ids, in numpy.

After Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999), section 3.
There are three discounts an order, estimated from the counts of counts; lower orders count distinct left
neighbours; the unigram interpolates with the uniform distribution. No pruning, no cut-off. An n-gram is one
64-bit key, so `order * bits` must stay below 64 (order 5 with up to 4,096 tokens).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """The statistics of one n-gram length."""

    grams: Keys  # sorted
    counts: NDArray[np.int64]
    contexts: Keys  # sorted
    totals: Reals  # sum of counts after each context
    spare: Reals  # discounted mass after each context
    discounts: Reals  # by count: 0, 1, 2, 3 and more

    def interpolate(self, counts: Reals, contexts: Keys, lower: Reals) -> Reals:
        """What this order says where it has seen the context, else what the `lower` ones say."""
        totals = _look_up(self.contexts, self.totals, contexts)
        spare = _look_up(self.contexts, self.spare, contexts)
        seen = np.maximum(totals, 1.0)
        own = np.maximum(counts - self.discounts[np.minimum(counts, 3).astype(int)], 0.0)
        return np.where(totals > 0, own / seen + spare / seen * lower, lower)


class KneserNey:
    """`bits(document)` after `KneserNey(documents, vocab_size)`."""

    def __init__(self, documents: list[NDArray[np.int64]], vocab_size: int, order: int = 5, start: int = 1):
        self.order, self.vocab_size, self.start = order, vocab_size, start
        self.width = np.uint64(int(vocab_size - 1).bit_length())
        if order * int(self.width) >= 64:
            raise ValueError(f"order {order} with {vocab_size} tokens does not fit a 64-bit key")
        self.orders = self._learn(documents)

    def _learn(self, documents: list[NDArray[np.int64]]) -> list[Order]:
        keys = np.concatenate([self._keys(document) for document in documents])
        grams, counts = np.unique(keys, return_counts=True)
        orders = [self._order(grams, counts)]
        for length in range(self.order - 1, 0, -1):
            # A shorter n-gram counts the distinct tokens seen before it: each longer one without its oldest.
            grams, counts = np.unique(self._last(orders[-1].grams, length), return_counts=True)
            orders.append(self._order(grams, counts))
        return orders[::-1]

    def _keys(self, document: NDArray[np.int64]) -> Keys:
        """One key for each token: itself in the low bits, its predecessors above it."""
        padded = np.concatenate([np.full(self.order - 1, self.start), document]).astype(np.uint64)
        keys = np.zeros(len(document), np.uint64)
        for first in range(self.order):
            keys = (keys << self.width) | padded[first : first + len(document)]
        return keys

    def _last(self, keys: Keys, length: int) -> Keys:
        """The keys of the last `length` tokens."""
        return keys & np.uint64((1 << (length * int(self.width))) - 1)

    def _order(self, grams: Keys, counts: NDArray[np.int64]) -> Order:
        discounts = _discounts(counts)
        contexts, first = np.unique(grams >> self.width, return_index=True)
        totals = np.add.reduceat(counts.astype(float), first)
        spare = np.add.reduceat(discounts[np.minimum(counts, 3)], first)
        return Order(grams, counts, contexts, totals, spare, discounts)

    def probabilities(self, document: NDArray[np.int64]) -> Reals:
        """P(token | the tokens before it) for every token of `document`; it begins after `start` tokens."""
        return self._score(self._keys(document))

    def following(self, context: NDArray[np.int64]) -> Reals:
        """P(token | the last `order - 1` tokens of `context`) for every token of the vocabulary."""
        key = self._keys(np.append(context, 0))[-1]
        result = np.full(self.vocab_size, 1.0 / self.vocab_size)
        for length, order in enumerate(self.orders, 1):
            # All n-grams with one context stand side by side.
            first = self._last(key, length)
            low, high = np.searchsorted(order.grams, [first, first + np.uint64(1 << int(self.width))])
            counts = np.zeros(self.vocab_size)
            counts[order.grams[low:high] - first] = order.counts[low:high]
            result = order.interpolate(counts, np.full(1, first >> self.width), result)
        return result

    def _score(self, keys: Keys) -> Reals:
        result = np.full(len(keys), 1.0 / self.vocab_size)
        for length, order in enumerate(self.orders, 1):
            last = self._last(keys, length)
            counts = _look_up(order.grams, order.counts.astype(float), last)
            result = order.interpolate(counts, last >> self.width, result)
        return result

    def bits(self, document: NDArray[np.int64]) -> float:
        """-log2 P(document)."""
        return float(-np.log2(self.probabilities(document)).sum())


def _discounts(counts: NDArray[np.int64]) -> Reals:
    """D for counts 0, 1, 2 and 3 or more; 0.75 where the counts of counts do not allow an estimate."""
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array([0.0, 0.75, 0.75, 0.75])
    y = n1 / (n1 + 2 * n2)
    estimates = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return np.array([0.0, *(min(max(d, 0.0), float(k)) for k, d in enumerate(estimates, 1))])


def _look_up(keys: Keys, values: Reals, wanted: Keys) -> Reals:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0.0)
