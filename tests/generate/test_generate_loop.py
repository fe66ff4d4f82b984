"""The generation loop, compared with transformers on the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from composer.generate import generate

ENDS = [5, 9, 11, 13, 14, 15, 21]
ASKED: list[dict[str, Any]] = [
    {"max_new_tokens": 12},
    {"max_length": 15},
    {"max_new_tokens": 12, "max_length": 9},
    {"max_new_tokens": 12, "eos_token_id": ENDS},
    {"max_new_tokens": 12, "eos_token_id": ENDS, "pad_token_id": 0},
    {"max_new_tokens": 12, "eos_token_id": ENDS, "min_new_tokens": 6},
    {"max_new_tokens": 12, "eos_token_id": ENDS, "min_length": 12, "repetition_penalty": 1.4},
    {"max_new_tokens": 12, "do_sample": True},
    {"max_new_tokens": 12, "do_sample": True, "top_k": 0, "temperature": 1.7},
    {"max_new_tokens": 12, "do_sample": True, "top_k": 9, "top_p": 0.8, "eos_token_id": ENDS},
    {"max_new_tokens": 12, "do_sample": True, "min_p": 0.1, "repetition_penalty": 1.2, "temperature": 0.6},
]


def prompt(seed: int, rows: int = 4, length: int = 7) -> Tensor:
    return torch.randint(1, 61, (rows, length), generator=torch.Generator().manual_seed(seed))


def left_mask(ids: Tensor) -> Tensor:
    return (torch.arange(ids.shape[1]) >= torch.tensor([0, 2, 6, 1])[:, None]).long()


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("use_cache", [True, False])
def test_same_tokens_as_transformers(theirs: Any, ours: Any, asked: dict[str, Any], use_cache: bool) -> None:
    """Greedy or drawn, with ends, least lengths and penalties, cached or not: equal ids."""
    ids = prompt(1)
    torch.manual_seed(7)
    expected = theirs.generate(ids, attention_mask=torch.ones_like(ids), **asked)

    assert torch.equal(expected, generate(ours, ids, use_cache=use_cache, seed=7, **asked))


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("use_cache", [True, False])
def test_left_padding_as_transformers(theirs: Any, ours: Any, asked: dict[str, Any], use_cache: bool) -> None:
    """Left-padded rows too; what stands in the padding does not matter, not to the penalty either."""
    ids = prompt(2)
    torch.manual_seed(7)
    expected = theirs.generate(ids, attention_mask=left_mask(ids), **asked)

    assert torch.equal(expected, generate(ours, ids, left_mask(ids), use_cache=use_cache, seed=7, **asked))


def test_global_generator_without_a_seed(theirs: Any, ours: Any) -> None:
    """Draws come from torch's global generator, as theirs do; with a `seed` it is left alone."""
    ids = prompt(3)
    torch.manual_seed(11)
    expected = theirs.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, max_new_tokens=9)
    torch.manual_seed(11)
    actual = generate(ours, ids, do_sample=True, max_new_tokens=9)
    state = torch.get_rng_state()
    generate(ours, ids, do_sample=True, max_new_tokens=9, seed=0)

    assert torch.equal(expected, actual)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("asked", [ASKED[0], ASKED[6]], ids=str)
def test_padding_on_any_side_equals_single_rows(ours: Any, asked: dict[str, Any], use_cache: bool) -> None:
    """A row gives the tokens it gives alone, padded left, right, on both sides or not at all."""
    rows = [prompt(n, 1, length)[0] for n, length in enumerate([7, 4, 5, 1, 2])]
    ids, mask = torch.zeros(5, 7, dtype=torch.long), torch.zeros(5, 7, dtype=torch.long)
    for n, (row, start) in enumerate(zip(rows, [0, 0, 2, 3, 5], strict=True)):
        ids[n, start : start + len(row)] = row
        mask[n, start : start + len(row)] = 1
    # `min_length` counts columns, so ask for tokens after the prompt instead.
    asked = {**asked, "min_length": 0, "min_new_tokens": 3}
    together = generate(ours, ids, mask, use_cache=use_cache, **asked)
    alone = [generate(ours, row[None], use_cache=use_cache, **asked)[0, len(row) :] for row in rows]

    assert torch.equal(ids, together[:, :7])
    for n, expected in enumerate(alone):
        assert torch.equal(expected, together[n, 7 : 7 + len(expected)])


def test_mask_is_inferred_from_pads(theirs: Any, ours: Any) -> None:
    """Pads in the prompt are padding, as transformers has it, unless the pad token also ends rows."""
    ids = prompt(4).clamp(max=59)
    ids = ids.masked_fill(left_mask(ids) == 0, 60)
    for ends in (ENDS, [60, *ENDS]):
        asked = {"max_new_tokens": 8, "pad_token_id": 60, "eos_token_id": ends}
        expected = theirs.generate(ids, **asked)

        assert torch.equal(expected, generate(ours, ids, **asked))


@pytest.mark.filterwarnings("ignore:Using the model-agnostic default:UserWarning")
@pytest.mark.parametrize("length", [3, 44, 50, 63])
def test_default_is_twenty_new_tokens(theirs: Any, ours: Any, length: int) -> None:
    """Twenty, or what is left of the trained positions (64 here)."""
    ids = prompt(5, 1, length)

    assert torch.equal(theirs.generate(ids), generate(ours, ids))
    assert min(length + 20, 64) == generate(ours, ids).shape[1]


def test_an_asked_length_may_pass_the_trained_positions(theirs: Any, ours: Any) -> None:
    """Only the default minds them."""
    ids = prompt(6, 1, 60)

    assert torch.equal(theirs.generate(ids, max_new_tokens=10), generate(ours, ids, max_new_tokens=10))


def test_stops_when_every_row_has_ended(watched: Any) -> None:
    """No step is spent on a batch whose rows have all ended."""
    ids = prompt(1)
    steps = generate(watched, ids, max_new_tokens=50, eos_token_id=list(range(0, 61, 2))).shape[1] - 7

    assert steps < 50
    assert steps == len(watched.widths)


def test_feeds_new_tokens_only(watched: Any) -> None:
    """With a cache each call after the prompt's takes one column, and the cache is declared long enough."""
    generate(watched, prompt(1), max_new_tokens=4)
    cached, watched.widths = watched.widths, []
    generate(watched, prompt(1), max_new_tokens=4, use_cache=False)

    assert [7, 1, 1, 1] == cached
    assert [11] == [cache.max_length for cache in watched.caches]
    assert [7, 8, 9, 10] == watched.widths


def test_a_far_limit_allocates_nothing_ahead(watched: Any) -> None:
    """A limit that no text will reach does not become memory: the cache grows instead."""
    generate(watched, prompt(1), max_new_tokens=10**8, eos_token_id=list(range(61)))

    assert [None] == [cache.max_length for cache in watched.caches]


@pytest.mark.parametrize("window", [1, 3, 8])
@pytest.mark.parametrize("asked", [ASKED[0], ASKED[6], ASKED[8]], ids=str)
def test_windows_as_transformers(
    oracle: Callable[..., Any], twin: Callable[..., Any], window: int, asked: dict[str, Any]
) -> None:
    """A rolling cache, prompts shorter and longer than its window; theirs forgets nothing at window 1."""
    theirs = oracle(seed=window, sliding_window=window)
    ours = twin(theirs)
    ids = prompt(window)
    for mask in (torch.ones_like(ids), left_mask(ids)):
        torch.manual_seed(5)
        expected = theirs.generate(ids, attention_mask=mask, use_cache=window > 1, **asked)

        assert torch.equal(expected, generate(ours, ids, mask, seed=5, **asked))


def test_model_defaults_apply(theirs: Any, double: Callable[..., Any]) -> None:
    """The spec's `generation`, or the checkpoint's where it has one, stands under the call's."""
    model = double(theirs, max_new_tokens=3)
    ids = prompt(1)
    from_spec = generate(model, ids).shape[1]
    model.generation = {"max_new_tokens": 5, "transformers_version": "5.23.0"}

    lengths = from_spec, generate(model, ids).shape[1], generate(model, ids, max_new_tokens=2).shape[1]
    assert (10, 12, 9) == lengths


def test_begins_with_bos_where_no_prompt_is_given(ours: Any) -> None:
    """`input_ids=None` starts from the bos token."""
    ids = generate(ours, bos_token_id=1, max_new_tokens=3)

    assert torch.equal(generate(ours, torch.tensor([[1]]), max_new_tokens=3), ids)


def test_result_is_an_ordinary_tensor(ours: Any) -> None:
    """It may feed a training step, and generating leaves gradients switched on."""
    ids = generate(ours, prompt(1).int(), max_new_tokens=3)
    table = torch.nn.Embedding(61, 4)
    table(ids).sum().backward()

    assert torch.int64 == ids.dtype
    assert not ids.is_inference()
    assert torch.is_grad_enabled()


def test_unused_options_of_the_call_are_named(ours: Any) -> None:
    """An option that only matters when sampling is not dropped in silence."""
    with pytest.warns(UserWarning, match="top_p has no effect without do_sample=True"):
        generate(ours, prompt(1), max_new_tokens=1, top_p=0.5)
