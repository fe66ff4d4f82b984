"""Score processors, bit for bit those of transformers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import LogitsProcessorList
from transformers.generation import logits_process as oracle

from composer.generate import GenerationOptions, scores


def drawn(seed: int, rows: int = 4, vocabulary: int = 97) -> tuple[Tensor, Tensor]:
    """Ids so far, and scores with many ties, zeros of both signs and a few forbidden tokens."""
    torch.manual_seed(seed)
    values = (torch.randn(rows, vocabulary) * 3).round(decimals=seed % 3)
    values[:, ::13] = -0.0
    values[1, 5:9] = -torch.inf
    return torch.randint(0, vocabulary, (rows, 11)), values


def same_bits(expected: Tensor, actual: Tensor) -> bool:
    return torch.equal(expected.view(torch.int32), actual.view(torch.int32))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("k", [1, 2, 7, 50, 97, 1000])
def test_top_k(seed: int, k: int) -> None:
    """The k best stay, ties with the last of them too; more than the vocabulary is all of it."""
    ids, values = drawn(seed)

    assert same_bits(oracle.TopKLogitsWarper(k)(ids, values), scores.top_k(values, k))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("mass", [0.0, 1e-6, 0.1, 0.5, 0.9, 0.999, 1.0])
def test_top_p(seed: int, mass: float) -> None:
    """The best tokens up to the mass stay, never none."""
    ids, values = drawn(seed)

    assert same_bits(oracle.TopPLogitsWarper(mass)(ids, values), scores.top_p(values, mass))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_min_p(seed: int, share: float) -> None:
    """Tokens below a share of the best one's probability go."""
    ids, values = drawn(seed)

    assert same_bits(oracle.MinPLogitsWarper(share)(ids, values), scores.min_p(values, share))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("divisor", [0.01, 0.7, 3.0])
def test_temperature(seed: int, divisor: float) -> None:
    """Scores are divided."""
    ids, values = drawn(seed)

    assert same_bits(
        oracle.TemperatureLogitsWarper(divisor)(ids, values), scores.temperature(values, divisor)
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("penalty", [0.5, 1.3, 10.0])
@pytest.mark.parametrize("padded", [False, True])
def test_repetition_penalty(seed: int, penalty: float, padded: bool) -> None:
    """Every id of the row counts once; left padding does not count."""
    ids, values = drawn(seed)
    padding = torch.tensor([0, 3, 10, 1]) if padded else None
    expected = oracle.RepetitionPenaltyLogitsProcessor(penalty, prompt_ignore_length=padding)(ids, values)

    assert same_bits(expected, scores.repetition_penalty(values, ids, penalty, padding))


@pytest.mark.parametrize("shortest", [0, 11, 12, 40])
def test_end_tokens_are_banned_below_the_least_length(shortest: int) -> None:
    """`min_length` counts the prompt; end tokens may come once it is reached."""
    ids, values = drawn(1)
    options = GenerationOptions(min_length=shortest, eos_token_id=[3, 90, 5000])
    chain = scores.processors(options, ids[:, :10], None, 97)
    actual = chain[0](ids, values) if chain else values

    assert same_bits(oracle.MinLengthLogitsProcessor(shortest, [3, 90])(ids, values), actual)


def test_min_new_tokens_wins_over_min_length() -> None:
    """As in transformers, which replaces `min_length` by the prompt and `min_new_tokens`."""
    ids, values = drawn(2)
    options = GenerationOptions(min_length=100, min_new_tokens=1, eos_token_id=3)
    (ban,) = scores.processors(options, ids[:, :-1], None, 97)

    assert ban(ids[:, :-1], values)[0, 3] == -torch.inf
    assert same_bits(values, ban(ids, values))


@pytest.mark.parametrize("seed", range(20))
def test_whole_chain(seed: int) -> None:
    """All of them together stand in transformers' order."""
    ids, values = drawn(seed)
    options = GenerationOptions(
        do_sample=True, temperature=0.8, top_k=40, top_p=0.9, min_p=0.05,
        repetition_penalty=1.2, eos_token_id=[3, 4], min_new_tokens=5,
    )  # fmt: skip
    expected = LogitsProcessorList(
        [
            oracle.RepetitionPenaltyLogitsProcessor(1.2),
            oracle.MinNewTokensLengthLogitsProcessor(9, 5, [3, 4]),
            oracle.TemperatureLogitsWarper(0.8),
            oracle.TopKLogitsWarper(40),
            oracle.TopPLogitsWarper(0.9),
            oracle.MinPLogitsWarper(0.05),
        ]
    )(ids, values)
    actual = values
    for process in scores.processors(options, ids[:, :9], None, 97):
        actual = process(ids, actual)

    assert same_bits(expected, actual)


def test_greedy_needs_no_processor() -> None:
    """Plain greedy generation touches no score; sampling has its top_k of 50 by default."""
    ids = torch.zeros(1, 3, dtype=torch.long)

    assert [] == scores.processors(GenerationOptions(eos_token_id=2, temperature=0.5), ids, None, 97)
    assert 1 == len(scores.processors(GenerationOptions(do_sample=True), ids, None, 97))
