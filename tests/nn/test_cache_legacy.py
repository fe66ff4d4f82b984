"""The format of tuples, in and out, and with another library's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import composer
from composer.errors import CacheError
from composer.nn import HybridCache, Model

from .hybrids import hybrid
from .models import close, ids, model


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("windows", [[None], [None, 30], [30, 12]])
@pytest.mark.parametrize("length", [None, 16])
def test_there_and_back(windows: list[int | None], length: int | None) -> None:
    """Copies of all tokens, from which another cache goes on; rings as long as they have dropped none."""
    built, whole = model(windows), ids(2, 12)
    cache = built.new_cache(2, length)
    built(whole[:, :9], past_key_values=cache)
    pairs = cache.to_legacy()
    assert [(2, 2, 9, 6)] * 2 * len(windows) == [tuple(t.shape) for pair in pairs for t in pair]
    built(whole[:, :1], past_key_values=cache)
    again = HybridCache.from_legacy(pairs, built, length)
    out = built(whole[:, 9:], past_key_values=again).logits

    assert [12, 12] == again.lengths
    assert close(out, built(whole).logits[:, 9:])


@pytest.mark.parametrize("rollback", [0, 2])
def test_a_ring_takes_the_newest_of_all_tokens(rollback: int) -> None:
    """It can be filled from what another library has kept, and then go back as far as declared."""
    full, ring, whole = model([None]), model([4]), ids(1, 12)
    ring.load_state_dict(full.state_dict())
    cache = full.new_cache(1)
    full(whole[:, :9], past_key_values=cache)
    again = HybridCache.from_legacy(cache.to_legacy(), ring, rollback=rollback)
    again.rollback(rollback)
    out = ring(whole[:, 9 - rollback :], past_key_values=again).logits

    assert close(out, ring(whole).logits[:, 9 - rollback :])
    with pytest.raises(CacheError, match="is a ring and has dropped its oldest tokens"):
        again.to_legacy()


def test_a_ring_that_went_back_has_still_dropped_tokens() -> None:
    """What newer ones have overwritten does not come back with them gone."""
    built = model([4])
    cache = built.new_cache(1, rollback=3)
    built(ids(1, 8), past_key_values=cache)
    cache.rollback(3)

    with pytest.raises(CacheError, match="has dropped its oldest tokens"):
        cache.to_legacy()


def test_what_is_not_keys_and_values_is_named() -> None:
    """Layers with guests, and states."""
    for seed, said in ((30, "remembers 3 things"), (9, "keeps a recurrent state, which tuples cannot hold")):
        built = hybrid(seed)
        with pytest.raises(CacheError, match=said):
            built.new_cache(1).to_legacy()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Model]:
    """A small published model in another library, and here."""
    transformers = pytest.importorskip("transformers")
    folder: Path = tmp_path_factory.mktemp("tiny")
    config = transformers.MistralConfig(
        vocab_size=40, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, sliding_window=None,
        initializer_range=0.2, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = transformers.MistralForCausalLM(config).eval()
    theirs.save_pretrained(folder)
    return theirs, composer.load(folder)


def test_the_reference_goes_on_where_we_stop(both: tuple[Any, Model]) -> None:
    """Its cache is made of our tuples, ours of its tensors."""
    from transformers import DynamicCache

    theirs, ours = both
    whole = ids(2, 12)
    cache = ours.new_cache(2)
    ours(whole[:, :9], past_key_values=cache)
    expected: Tensor = theirs(whole).logits[:, 9:]
    other = DynamicCache(cache.to_legacy())
    assert close(theirs(whole[:, 9:], past_key_values=other).logits, expected)

    used: Any = DynamicCache(config=theirs.config)
    theirs(whole[:, :9], past_key_values=used)
    pairs = [(layer.keys, layer.values) for layer in used.layers]
    again = HybridCache.from_legacy(pairs, ours)
    assert close(ours(whole[:, 9:], past_key_values=again).logits, expected)
