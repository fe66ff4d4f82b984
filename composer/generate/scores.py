"""What happens to the scores of the next token before one is chosen: pure functions in transformers' order.

Scores are float32 (rows, vocabulary); a token set to minus infinity cannot be chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from composer.generate.options import GenerationOptions

# (ids so far (rows, length), scores) -> scores
Processor = Callable[[Tensor, Tensor], Tensor]


def repetition_penalty(scores: Tensor, ids: Tensor, penalty: float, padding: Tensor | None = None) -> Tensor:
    """Make every id that occurs in its row less likely, once however often it occurs.

    `padding` (rows,) says how many leading columns of a row do not count.
    """
    if padding is not None:
        # The last column is never padding, and naming its id once more changes nothing.
        columns = torch.arange(ids.shape[1], device=ids.device)
        ids = torch.where(columns < padding[:, None], ids[:, -1:], ids)
    seen = scores.gather(1, ids)
    return scores.scatter(1, ids, torch.where(seen < 0, seen * penalty, seen / penalty))


def ban(scores: Tensor, banned: Tensor) -> Tensor:
    """Forbid the tokens where `banned` (vocabulary,) is true."""
    return scores.masked_fill(banned, -math.inf)


def temperature(scores: Tensor, divisor: float) -> Tensor:
    """Flatten (above 1) or sharpen (below 1) the distribution."""
    return scores / divisor


def top_k(scores: Tensor, k: int) -> Tensor:
    """Keep the k best tokens and whatever ties with the last of them."""
    worst = torch.topk(scores, min(k, scores.shape[-1])).values[:, -1:]
    return scores.masked_fill(scores < worst, -math.inf)


def top_p(scores: Tensor, mass: float) -> Tensor:
    """Keep the best tokens that together reach `mass` of the probability; always the best one."""
    ascending, order = torch.sort(scores)
    drop = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - mass
    drop[:, -1] = False
    return scores.masked_fill(drop.scatter(1, order, drop), -math.inf)


def min_p(scores: Tensor, share: float) -> Tensor:
    """Drop tokens less likely than `share` times the best one."""
    likely = scores.softmax(dim=-1)
    return scores.masked_fill(likely < share * likely.amax(dim=-1, keepdim=True), -math.inf)


def processors(
    options: GenerationOptions, prompt: Tensor, padding: Tensor | None, size: int
) -> list[Processor]:
    """Everything that `options` ask for, in order, each built once for the whole generation.

    `prompt` (rows, length) is padded on the left by `padding` (rows,) columns; `size` is the vocabulary's.
    """
    chain: list[Processor] = []
    if options.repetition_penalty != 1.0:
        penalty = options.repetition_penalty
        chain.append(lambda ids, scores: repetition_penalty(scores, ids, penalty, padding))
    new = options.min_new_tokens
    shortest = options.min_length if new is None else prompt.shape[1] + new
    if options.eos_token_id and shortest > prompt.shape[1]:
        chain.append(_no_end_before(shortest, _one_hot(options.eos_token_id, size, prompt.device)))
    return chain + (_sampling(options) if options.do_sample else [])


def _sampling(options: GenerationOptions) -> list[Processor]:
    chain: list[Processor] = []
    if (divisor := options.temperature) != 1.0:
        chain.append(lambda ids, scores: temperature(scores, divisor))
    if k := options.top_k:
        chain.append(lambda ids, scores: top_k(scores, k))
    if (mass := options.top_p) < 1.0:
        chain.append(lambda ids, scores: top_p(scores, mass))
    if (share := options.min_p) is not None:
        chain.append(lambda ids, scores: min_p(scores, share))
    return chain


def _no_end_before(length: int, ends: Tensor) -> Processor:
    return lambda ids, scores: ban(scores, ends) if ids.shape[1] < length else scores


def _one_hot(ids: tuple[int, ...], size: int, device: torch.device) -> Tensor:
    """A row of the vocabulary, true at `ids`; ids beyond it cannot be chosen anyway."""
    hot = torch.zeros(size, dtype=torch.bool, device=device)
    hot[[i for i in ids if i < size]] = True
    return hot
