"""The baseline that the pocket model is compared with is a proper language model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from ngram import KneserNey  # benchmarks are scripts beside the package

TEXTS = [np.random.default_rng(n).zipf(1.5, size=400) % 30 for n in range(6)]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one(order: int) -> None:
    """After contexts that were seen, half seen and never seen."""
    model = KneserNey(TEXTS, 30, order)
    for context in (TEXTS[0][:7], np.array([29, 29, 1, 1]), np.array([], int)):
        assert model.following(context).sum() == pytest.approx(1.0, abs=1e-12)


def test_one_token_and_the_whole_distribution_agree() -> None:
    """`probabilities` scores a document as `following` would, token by token."""
    model = KneserNey(TEXTS, 30, 4)
    document = TEXTS[1][:20]
    stepwise = [model.following(document[:n])[document[n]] for n in range(len(document))]
    assert model.probabilities(document) == pytest.approx(stepwise, abs=1e-12)


def test_a_bigram_by_hand() -> None:
    """The formula of the paper on six tokens; the discount is 0.75 where counts are too few to tell."""
    model = KneserNey([np.array([2, 3, 2, 3, 2, 4])], vocab_size=5, order=2, start=1)
    # Distinct left neighbours: token 2 has {1, 3}, token 3 has {2}, token 4 has {2}.
    lower = {2: (2 - 0.75) / 4, 3: (1 - 0.75) / 4, 4: (1 - 0.75) / 4}
    spare = 3 * 0.75 / 4 / 5
    # After 2: token 3 twice, token 4 once.
    by_hand = (2 - 0.75) / 3 + 2 * 0.75 / 3 * (lower[3] + spare)
    assert model.following(np.array([2]))[3] == pytest.approx(by_hand)


def test_a_longer_memory_helps_on_repeating_text() -> None:
    """Bits fall with the order where the text depends on it."""
    text = [np.tile([2, 3, 2, 4, 3, 3, 5], 30)]
    bits = [KneserNey(text, 6, order).bits(text[0]) for order in (1, 2, 3, 4)]
    assert bits == sorted(bits, reverse=True)
    assert bits[-1] < bits[0] / 4
