"""What a cache holds, how much it takes, and what it does when something goes wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import composer
from composer.errors import CacheError, CallError
from composer.nn import HybridCache

from .models import close, ids, model, plan


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def capacities(cache: HybridCache) -> list[int]:
    """Tokens that each layer has room for."""
    return [slot.tensors["k"].shape[2] for slot in cache.memories()]


@pytest.mark.parametrize("rollback", [0, 1, 3])
def test_ring_never_grows_past_its_bound(rollback: int) -> None:
    """Eight windows of single tokens and chunks: not a byte more than the plan counts for the bound."""
    window = 5
    built = model([window])
    cache = built.new_cache(2, rollback=rollback)
    bound = built.plan.cache_bytes(10**6, batch=2, rollback=rollback, element_size=4)
    whole = ids(2, 8 * window)
    outs = []
    for part in whole.split([1, 1, 3, 11, 1, 7, 1, 13, 2], 1):
        outs.append(built(part, past_key_values=cache).logits)
        assert cache.nbytes <= bound
    assert cache.nbytes == bound
    assert close(torch.cat(outs, 1), built(whole).logits)


@pytest.mark.parametrize("windows", [[None], [3], [3, None, 30]])
@pytest.mark.parametrize(("length", "rollback"), [(1, 0), (3, 2), (50, 0), (50, 4)])
def test_a_declared_length_is_allocated_at_once(
    windows: list[int | None], length: int, rollback: int
) -> None:
    """The plan counts the bytes without torch, and no call takes more."""
    built = model(windows)
    cache = built.new_cache(3, max_length=length, rollback=rollback)
    counted = built.plan.cache_bytes(length, batch=3, rollback=rollback, element_size=4)
    before = [slot.tensors for slots in cache.slots for slot in slots.values()]
    built(ids(3, length), past_key_values=cache)
    after = [slot.tensors for slots in cache.slots for slot in slots.values()]

    assert counted == cache.nbytes
    assert all(a is b for a, b in zip(before, after, strict=True))


def test_bytes_follow_the_dtype() -> None:
    """A cache is of the model's dtype, and the plan counts bf16 unless told otherwise."""
    built = model([4, None]).to(torch.bfloat16)

    assert built.plan.cache_bytes(20, batch=2) == built.new_cache(2, max_length=20).nbytes


def test_without_a_length_full_slots_double() -> None:
    """Room grows in powers, so that n tokens cost order of n copies; rings stop at their bound."""
    built = model([None, 90])
    cache = built.new_cache(1)
    whole, outs, rooms = ids(1, 300), [], set()
    for part in whole.split(23, 1):
        outs.append(built(part, past_key_values=cache).logits)
        rooms.add(tuple(capacities(cache)))

    assert {(64, 64), (138, 90), (322, 90)} == rooms
    assert close(torch.cat(outs, 1), built(whole).logits)


class Explodes(nn.Module):
    """Fails in the middle of a call."""

    def forward(self, *args: Any) -> Tensor:
        raise KeyboardInterrupt("pressed at the wrong time")


def test_a_call_that_fails_half_way_poisons_the_cache() -> None:
    """The first layer has already written: the cache says so instead of answering wrongly."""
    built = model([None, None])
    cache = built.new_cache(1)
    built(ids(1, 3), past_key_values=cache)
    whole = built.layers[1]
    built.layers[1] = Explodes()
    with pytest.raises(KeyboardInterrupt):
        built(ids(1, 1), past_key_values=cache)
    built.layers[1] = whole

    with pytest.raises(CacheError, match="KeyboardInterrupt: pressed at the wrong time"):
        built(ids(1, 1), past_key_values=cache)


def test_a_head_that_fails_poisons_the_cache() -> None:
    """The call has no answer, so its tokens must not count as fed."""
    built = model([None])
    cache = built.new_cache(1)
    head, built.head = built.head, Explodes()
    with pytest.raises(KeyboardInterrupt):
        built(ids(1, 3), past_key_values=cache)
    built.head = head

    assert [0] == cache.lengths
    with pytest.raises(CacheError, match="a call failed half-way"):
        built(ids(1, 1), past_key_values=cache)


def test_a_cache_serves_equal_models() -> None:
    """A copy of the model has the same plan, and may go on where the other stopped."""
    built = model([3])
    twin = copy.deepcopy(built)
    cache, whole = built.new_cache(1), ids(1, 6)
    built(whole[:, :4], past_key_values=cache)
    out = twin(whole[:, 4:], past_key_values=cache).logits

    assert close(out, built(whole).logits[:, 4:])


def test_frozen_embeddings_do_not_let_gradients_in() -> None:
    """Whatever parameter learns, a cache would hold on to its whole history."""
    built = model()
    built.embed.requires_grad_(False)
    with torch.enable_grad(), pytest.raises(CallError, match="gradients do not flow through a cache"):
        built(ids(1, 2), use_cache=True)
    built.requires_grad_(False)
    with torch.enable_grad():
        assert [2] == built(ids(1, 2), use_cache=True).past_key_values.lengths


def test_a_refused_call_leaves_the_cache_as_it_was() -> None:
    """What is refused at the border has not touched a layer."""
    built = model([3])
    cache = built.new_cache(2, max_length=6)
    first, then = ids(2, 4), ids(2, 2, seed=1)
    built(first, past_key_values=cache)
    refusals: list[dict[str, Any]] = [
        {"input_ids": ids(2, 3)},
        {"input_ids": ids(1, 1)},
        {"input_ids": then, "attention_mask": torch.ones(2, 5)},
        {"input_ids": then, "head_mask": None},
    ]
    for call in refusals:
        with pytest.raises((CacheError, CallError)):
            built(**call, past_key_values=cache)
    out = built(then, past_key_values=cache).logits

    assert close(out, built(torch.cat([first, then], 1)).logits[:, 4:])


def test_gradients_are_refused() -> None:
    """A cache keeps values, not how they came about."""
    built = model()
    with torch.enable_grad(), pytest.raises(CallError, match="gradients do not flow through a cache"):
        built(ids(1, 2), use_cache=True)


def test_the_same_object_comes_back() -> None:
    """`past_key_values` is the cache that went in, or a new one that was asked for."""
    built = model()
    cache = built.new_cache(1)

    assert built(ids(1, 2), past_key_values=cache).past_key_values is cache
    assert built(ids(1, 2)).past_key_values is None
    assert [2] == built(ids(1, 2), use_cache=True).past_key_values.lengths


def test_rollback_moves_all_rows_or_none() -> None:
    """One row that cannot go back keeps the others where they are."""
    cache = model([4]).new_cache(2, rollback=2)
    cache.progress.commit([9, 9], [0, 0])
    for asked in ([1, 3], 3, [1], [1, 1, 1], [-1, 0], [10, 0]):
        with pytest.raises(CacheError):
            cache.rollback(asked)
        assert [9, 9] == cache.lengths
    cache.rollback([2, 0])

    assert [7, 9] == cache.lengths


def test_full_slots_go_back_any_distance() -> None:
    """Nothing is lost where there is no window."""
    built = model([None, None])
    cache = built.new_cache(1)
    whole = ids(1, 20)
    built(whole, past_key_values=cache)
    cache.rollback(17)
    out = built(whole[:, 3:], past_key_values=cache).logits

    assert close(out, built(whole).logits[:, 3:])


def test_guests_have_slots_of_their_own() -> None:
    """A guest's memory goes by its name in the layer, and its host's by its own."""
    spec = plan().spec.model_copy(update={"pattern": "w0+guest"})
    blocks = {**spec.blocks, "guest": spec.blocks["w0"]}
    built = composer.build(composer.resolve(spec.model_copy(update={"blocks": blocks})), seed=0)
    cache = built.new_cache(1)
    whole = ids(1, 9)
    out = torch.cat([built(part, past_key_values=cache).logits for part in whole.split([4, 1, 3, 1], 1)], 1)

    assert {"mixer", "guest.mixer"} == set(cache.slots[0])
    assert close(out, built(whole).logits)


@pytest.mark.parametrize("windows", [(None,), (3,)])
def test_under_autocast(windows: tuple[int | None, ...]) -> None:
    """A float32 cache takes what a lower precision computes, and hands it back in that."""
    built = model(windows)
    whole, cache = ids(2, 12), built.new_cache(2)
    mask = torch.ones(2, 3)
    mask[1, 2:] = 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = built(whole).logits
        outs = [built(part, past_key_values=cache).logits for part in whole.split([4, 1, 6, 1], 1)]
        built(whole[:, :3], attention_mask=mask, past_key_values=cache)

    assert close(torch.cat(outs, 1).float(), expected.float(), 0.05)
    assert {torch.float32} == {
        tensor.dtype for slot in cache.slots[0].values() for tensor in slot.tensors.values()
    }


@pytest.mark.parametrize("length", [None, 20])
def test_a_cache_outlives_inference_mode(length: int | None) -> None:
    """Made and first used under torch.inference_mode, it goes on outside."""
    built, whole = model([3, None]), ids(1, 80)[:, : length or 80]
    with torch.inference_mode():
        cache = built.new_cache(1, length)
        first = built(whole[:, :9], past_key_values=cache).logits
    then = built(whole[:, 9:], past_key_values=cache).logits

    assert close(torch.cat([first, then], 1), built(whole).logits)
