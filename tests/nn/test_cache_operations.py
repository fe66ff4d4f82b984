"""What each operation over a cache does by itself, over slots of every kind."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import composer
from composer.errors import CacheError
from composer.nn import HybridCache, Model

from .fading import Fading, catalog
from .hybrids import hybrid
from .models import close, ids, model, plan

DEEP = 237
"""A seed whose model has a full, a windowed and a recurrent layer, guests, and a shared chain."""


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def built() -> Model:
    """A model that remembers in every way."""
    found = hybrid(DEEP)
    kinds = {
        kind for slots in found.new_cache(1, rollback=2).slots for s in slots.values() for kind in s.parts()
    }
    assert {"kv", "ring", "state", "anchor", "log"} == kinds
    return found


def fading() -> Model:
    """One layer of a block that the host has never heard of."""
    spec = plan().spec
    blocks = {**spec.blocks, "f": composer.spec.BlockEntry(kind="fading", width=3)}
    return composer.build(
        composer.resolve(spec.model_copy(update={"pattern": "f", "blocks": blocks}), catalog())
    )


def fed(built: Model, rows: int, tokens: int, **sizes: Any) -> tuple[HybridCache, Tensor]:
    """A cache of random rows, and their tokens."""
    cache, whole = built.new_cache(rows, **sizes), ids(rows, tokens)
    built(whole, past_key_values=cache)
    return cache, whole


def continues(built: Model, cache: HybridCache, rows: list[list[int]]) -> bool:
    """Whether the next tokens get the logits of each row by itself."""
    new = ids(len(rows), 3, seed=9)
    out = built(new, past_key_values=cache).logits
    return all(
        close(out[b], built(torch.tensor([[*row, *new[b].tolist()]])).logits[0, -3:], 1e-4)
        for b, row in enumerate(rows)
    )


@pytest.mark.parametrize("rollback", [0, 1, 3, 70])
@pytest.mark.parametrize("length", [1, 5, 40])
def test_counted_bytes_are_the_allocated_ones(built: Model, length: int, rollback: int) -> None:
    """Rings, states, anchors and logs, whatever length is declared."""
    cache = built.new_cache(2, length, rollback)
    counted = built.plan.cache_bytes(length, batch=2, rollback=rollback, element_size=4)

    assert counted == cache.nbytes == cache.report().nbytes


def test_nothing_is_kept_for_a_rollback_that_was_not_declared() -> None:
    """A recurrent layer holds its states and nothing else, and says that it cannot go back."""
    cache, _ = fed(fading(), 1, 9)

    assert {"state": 4 * (3 + 16)} == cache.report().by_kind
    assert [0] == cache.max_rollback()
    with pytest.raises(
        CacheError, match=r"layers\.0\.mixer keeps a recurrent state and can go back 0 tokens"
    ):
        cache.rollback(1)


def test_memory_for_a_rollback_is_bounded() -> None:
    """A second state and inputs of twice the rollback, however much is fed."""
    cache, _ = fed(fading(), 1, 100, rollback=3)
    for _ in range(20):
        assert 3 == cache.max_rollback()[0]
        fading()(ids(1, 1), past_key_values=cache)

    assert {"state": 4 * 19, "anchor": 4 * 19, "log": 4 * 6 * 16} == cache.report().by_kind


def test_a_token_costs_less_than_twice() -> None:
    """Anchors move by many tokens at once: n+1 tokens run the block n+2 times, n+1 of them on one token."""
    built, calls = fading(), []
    cache, _ = fed(built, 1, 50, rollback=4)
    built.get_submodule("layers.0.mixer").register_forward_hook(
        lambda _, given, out: calls.append(out.shape[1])
    )
    for _ in range(20):
        built(ids(1, 1), past_key_values=cache)

    assert 20 == calls.count(1)
    assert [5] * 4 == [count for count in calls if count > 1]


def test_a_long_prompt_is_read_once() -> None:
    """The part before the anchor and the part behind it, one after the other."""
    built, calls = fading(), []
    built.get_submodule("layers.0.mixer").register_forward_hook(
        lambda _, given, out: calls.append(out.shape[1])
    )
    fed(built, 2, 50, rollback=4)

    assert [46, 4] == calls


def test_report_names_every_slot(built: Model) -> None:
    """By layer, by kind, and as a table whose last line is the sum."""
    cache = built.new_cache(1, 20, rollback=2)
    report = cache.report()

    assert sum(report.by_layer.values()) == sum(report.by_kind.values()) == cache.nbytes
    assert f"{cache.nbytes:,}" == str(report).splitlines()[-1].split()[-1]
    for number, path, _ in cache.named_slots():
        assert f"layers.{number}.{path} " in str(report)


@pytest.mark.parametrize(
    ("act", "rows"),
    [
        (lambda cache: cache.reorder([2, 0, 0]), [2, 0, 0]),
        (lambda cache: cache.select(torch.tensor([1])), [1]),
        (lambda cache: cache.select([2, 1, 1, 0]), [2, 1, 1, 0]),
        (lambda cache: cache.repeat(2), [0, 0, 1, 1, 2, 2]),
    ],
)
@pytest.mark.parametrize("length", [None, 20])
def test_rows_move_with_all_they_remember(
    built: Model, act: Callable[[HybridCache], None], rows: list[int], length: int | None
) -> None:
    """Lengths too, which need not be the same."""
    cache, whole = fed(built, 3, 9, max_length=length, rollback=2)
    cache.rollback([0, 2, 1])
    act(cache)

    assert [[9, 7, 8][row] for row in rows] == cache.lengths
    assert continues(built, cache, [whole[row, : [9, 7, 8][row]].tolist() for row in rows])


def test_joined_caches_need_no_padding(built: Model) -> None:
    """Rows of different lengths stand next to each other; what was joined stays as it was."""
    parts = [fed(built, rows, tokens, rollback=1) for rows, tokens in ((1, 3), (2, 60), (1, 11))]
    empty = built.new_cache(1, rollback=1)
    joined = HybridCache.concatenate([*(cache for cache, _ in parts), empty])
    rows = [row.tolist() for _, whole in parts for row in whole] + [[]]

    assert [3, 60, 60, 11, 0] == joined.lengths
    assert continues(built, joined, rows)
    assert all(continues(built, cache, whole.tolist()) for cache, whole in parts)


def test_emptied_rows_start_again(built: Model) -> None:
    """Others go on; what a row held leaves no trace, not even what is no number."""
    cache, whole = fed(built, 2, 9)
    for slot in cache.memories():
        for tensor in slot.tensors.values():
            tensor[1] = torch.nan
    cache.reset(1)

    assert [9, 0] == cache.lengths
    assert continues(built, cache, [whole[0].tolist(), []])


def test_a_whole_row_can_always_be_forgotten(built: Model) -> None:
    """Nothing has to be kept for that."""
    cache, whole = fed(built, 2, 9)
    cache.rollback([9, 0])

    assert [0, 9] == cache.lengths
    assert continues(built, cache, [[], whole[1].tolist()])


def test_going_back_counts_from_the_most() -> None:
    """A token fed again does not bring back what two rollbacks have used up."""
    built = fading()
    cache, whole = fed(built, 1, 9, rollback=3)
    cache.rollback(2)
    assert [1] == cache.max_rollback()
    built(whole[:, :1], past_key_values=cache)
    assert [2] == cache.max_rollback()
    cache.rollback(2)

    assert continues(built, cache, [whole[0, :6].tolist()])


@pytest.mark.parametrize("lengths", [4, [4, 4], torch.tensor([4, 4])])
def test_crop_says_what_is_kept(lengths: Any) -> None:
    """One number is a bound for all rows."""
    built = model([None])
    cache, whole = fed(built, 2, 6)
    cache.crop(lengths)
    cache.rollback([1, 0])
    cache.crop(4)

    assert [3, 4] == cache.lengths
    assert continues(built, cache, [whole[0, :3].tolist(), whole[1, :4].tolist()])


def test_a_snapshot_can_be_restored_again_and_again(built: Model) -> None:
    """Whatever happens in between, rows included."""
    cache, whole = fed(built, 2, 9)
    kept = cache.snapshot()
    for act in (
        lambda: built(ids(2, 5), past_key_values=cache),
        lambda: cache.rollback([9, 0]),
        lambda: cache.select([1]),
        lambda: cache.reset(),
        lambda: cache.repeat(3),
        lambda: cache.poison(RuntimeError("out of memory")),
    ):
        act()
        cache.restore(kept)
        assert [9, 9] == cache.lengths
        assert continues(built, cache, whole.tolist())
        cache.restore(kept)


def test_snapshots_share_what_is_only_appended_to() -> None:
    """Full attention is not copied until tokens of the snapshot are given up."""
    built = model([None])
    cache, whole = fed(built, 1, 9)
    kept, later = cache.snapshot(), cache.snapshot()
    built(ids(1, 4), past_key_values=cache)
    cache.restore(kept)
    built(ids(1, 4, seed=2), past_key_values=cache)
    cache.rollback(4)
    assert 0 == kept.nbytes == later.nbytes
    cache.rollback(1)
    built(ids(1, 4, seed=3), past_key_values=cache)
    assert 0 < kept.nbytes == later.nbytes
    cache.restore(kept)

    assert continues(built, cache, whole.tolist())


def test_one_snapshot_survives_the_return_to_another() -> None:
    """Two histories of the same length: each snapshot keeps its own."""
    built = model([None, 4])
    cache, one = fed(built, 1, 9, rollback=9)
    first = cache.snapshot()
    cache.rollback(4)
    built(ids(1, 4, seed=5), past_key_values=cache)
    second = cache.snapshot()
    other = [*one[0, :5].tolist(), *ids(1, 4, seed=5)[0].tolist()]
    for kept, row in ((first, one[0].tolist()), (second, other), (first, one[0].tolist())):
        cache.restore(kept)
        assert continues(built, cache, [row])


def test_a_dropped_snapshot_is_forgotten() -> None:
    """It costs nothing any more when rows move."""
    cache, _ = fed(model([None]), 1, 9)
    cache.snapshot()
    gc.collect()

    assert 0 == len(cache._snapshots)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_copies_go_their_own_way(built: Model, copied: Callable[[HybridCache], HybridCache]) -> None:
    """A snapshot stays with the cache that made it."""
    cache, whole = fed(built, 2, 9, rollback=2)
    kept = cache.snapshot()
    other = copied(cache)
    built(ids(2, 2), past_key_values=cache)

    assert continues(built, other, whole.tolist())
    with pytest.raises(CacheError, match="of another cache"):
        other.restore(kept)


@pytest.mark.parametrize("length", [None, 30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_files_hold_what_counts(built: Model, tmp_path: Path, length: int | None, dtype: torch.dtype) -> None:
    """Not the room for more; what is read is what was written, bit for bit, and can go back as far."""
    half = copy.deepcopy(built).to(dtype)
    cache, _ = fed(half, 2, 9, max_length=length, rollback=2)
    cache.rollback([1, 0])
    cache.save(tmp_path / "one")
    again = HybridCache.load(tmp_path / "one", half)
    new = ids(2, 3)

    assert (cache.lengths, cache.max_rollback()) == (again.lengths, again.max_rollback())
    assert length is None or cache.nbytes == again.nbytes
    one, other = (half(new, past_key_values=each).logits for each in (cache, again))
    assert torch.equal(one, other)


def test_a_file_is_replaced_at_once(built: Model, tmp_path: Path) -> None:
    """The same memory writes the same bytes, and leaves nothing else behind."""
    cache, _ = fed(built, 1, 9)
    cache.save(tmp_path / "one")
    before = (tmp_path / "one").read_bytes()
    HybridCache.load(tmp_path / "one", built).save(tmp_path / "one")

    assert before == (tmp_path / "one").read_bytes()
    assert ["one"] == [path.name for path in tmp_path.iterdir()]


def nothing(built: Model, cache: HybridCache, count: int) -> None:
    """Feed tokens that are no numbers."""
    built(inputs_embeds=torch.full((cache.batch_size, count, 16), torch.nan), past_key_values=cache)


def test_forgotten_tokens_leave_no_trace(built: Model, tmp_path: Path) -> None:
    """Tokens that were no numbers, once forgotten, spoil neither what follows nor a file."""
    cache, whole = fed(built, 2, 9, rollback=3)
    moment = cache.snapshot()
    nothing(built, cache, 2)
    cache.rollback([1, 2])
    cache.rollback([1, 0])
    cache.save(tmp_path / "one")
    assert continues(built, cache, whole.tolist())

    for broken in (False, True):
        cache.restore(moment)
        cache.rollback([0, 1])
        later = cache.snapshot()
        nothing(built, cache, 30)
        if broken:
            cache.poison(RuntimeError("half-way"))
        cache.restore(later)
        cache.save(tmp_path / "one")
        assert continues(built, cache, [whole[0].tolist(), whole[1, :8].tolist()])


def test_moving_to_the_same_device_changes_nothing(built: Model) -> None:
    """It returns the cache itself."""
    cache, whole = fed(built, 1, 9)

    assert cache.to("cpu") is cache
    assert continues(built, cache, whole.tolist())


def test_a_block_declares_and_the_host_does_the_rest() -> None:
    """The toy's own code knows nothing of operations."""
    assert {"sum", "before"} == set(fading().new_cache(1).slots[0]["mixer"].tensors)
    assert "rollback" not in str(Fading.model_fields)


def test_emptied_after_a_move_that_failed(built: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some slots have the old rows and some the new ones; emptied as a whole, the cache is whole."""
    cache, whole = fed(built, 2, 9, rollback=1)
    kept = cache.snapshot()
    last = cache.memories()[-1]
    monkeypatch.setattr(last, "take", lambda *_: (_ for _ in ()).throw(MemoryError("no room")))
    for mend in (cache.reset, lambda: cache.restore(kept)):
        with pytest.raises(MemoryError):
            cache.select([0, 1, 1])
        with pytest.raises(CacheError, match="MemoryError: no room"):
            cache.rollback(0)
        mend()
        assert continues(built, cache, whole.tolist() if any(cache.lengths) else [[], []])


def test_an_interrupt_while_tokens_are_counted(built: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer has read them by then."""
    cache, _ = fed(built, 1, 9)
    monkeypatch.setattr(type(cache.progress), "commit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        built(ids(1, 1), past_key_values=cache)

    with pytest.raises(CacheError, match="KeyboardInterrupt"):
        cache.rollback(0)


def test_a_model_that_learns_leaves_no_hole() -> None:
    """Layers are left out in training, but never of what is remembered."""
    spec = plan([None, 3]).spec.model_copy(update={"layerdrop": 0.9})
    built, whole = composer.build(composer.resolve(spec), seed=0).train(), ids(1, 9)
    cache = built.new_cache(1)
    out = torch.cat([built(part, past_key_values=cache).logits for part in whole.split(3, 1)], 1)

    assert close(out, built.eval()(whole).logits)
