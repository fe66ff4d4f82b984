"""Every mistake a model call or a cache can be asked to make, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import composer
from composer.errors import CacheError, CallError, ComposerError
from composer.nn import HybridCache, Model

from ..nn.models import ids, model, plan, spec

EMBEDS = torch.zeros(2, 4, 16)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def built() -> Model:
    """One full layer: a vocabulary of 31, a stream of 16."""
    return model()


def refused(kind: type[ComposerError], call: Callable[[], object]) -> tuple[str, str]:
    """The one error that a call must raise: its code, and its text with the hint."""
    with pytest.raises(kind) as caught:
        call()
    assert len(caught.value.problems) == 1
    return caught.value.code, str(caught.value)


CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("E704", {"input_ids": ids(2, 4), "head_mask": None}, "a model call takes no argument 'head_mask'"),
    ("E704", {"input_ids": ids(2, 4), "lables": 1}, "did you mean 'labels'?"),
    ("E704", {"input_ids": ids(2, 4), "return_dict": False}, "it takes input_ids, attention_mask, "),
    ("E705", {}, "give either input_ids or inputs_embeds, and not both"),
    ("E705", {"input_ids": ids(2, 4), "inputs_embeds": EMBEDS}, "and not both"),
    ("E706", {"input_ids": [[1, 2]]}, "input_ids is a list, expected a tensor"),
    ("E706", {"input_ids": ids(2, 4), "attention_mask": [[1] * 4] * 2}, "attention_mask is a list"),
    ("E706", {"input_ids": ids(2, 4)[0]}, "the input has shape (4,), expected (batch, tokens)"),
    ("E706", {"inputs_embeds": EMBEDS[..., :3]}, "has shape (2, 4, 3), expected (batch, tokens, 16)"),
    ("E706", {"inputs_embeds": EMBEDS[0]}, "has shape (4, 16), expected (batch, tokens, 16)"),
    ("E706", {"input_ids": ids(2, 4), "labels": ids(2, 3)}, "labels has shape (2, 3), the input (2, 4)"),
    ("E706", {"input_ids": ids(2, 4), "segment_ids": ids(1, 4)}, "segment_ids has shape (1, 4)"),
    ("E706", {"input_ids": ids(2, 4), "position_ids": ids(3, 4)}, "position_ids has shape (3, 4)"),
    ("E706", {"input_ids": ids(2, 4), "position_ids": ids(2, 4)[0]}, "position_ids has shape (4,)"),
    ("E707", {"input_ids": ids(2, 4).float()}, "input_ids are torch.float32, expected whole numbers"),
    ("E707", {"input_ids": ids(2, 4) > 3}, "input_ids are torch.bool, expected whole numbers"),
    ("E707", {"input_ids": ids(2, 4) + 31}, "is not in the vocabulary of 31"),
    ("E707", {"input_ids": -ids(2, 4) - 1}, "is this the model's own tokenizer?"),
    ("E707", {"inputs_embeds": EMBEDS.half()}, "inputs_embeds are torch.float16, the model is torch.float32"),
    ("E707", {"input_ids": ids(2, 4), "labels": ids(2, 4) + 31}, "labels: token id "),
    ("E707", {"input_ids": ids(2, 4), "labels": ids(2, 4) - 100}, "-100 marks what is not to count"),
    ("E707", {"input_ids": ids(2, 4), "labels": ids(2, 4).float()}, "labels are torch.float32"),
    ("E708", {"input_ids": ids(2, 4), "attention_mask": torch.ones(2, 1, 4, 4)}, "shape (2, 1, 4, 4)"),
    ("E708", {"input_ids": ids(2, 4), "attention_mask": torch.ones(1, 1, 4, 4)}, "pack with segment_ids"),
    ("E708", {"input_ids": ids(2, 4), "attention_mask": torch.ones(1, 4)}, "expected (batch, tokens)"),
    ("E708", {"input_ids": ids(2, 4), "attention_mask": torch.ones(2, 4) / 2}, "values other than 0 and 1"),
    ("E708", {"input_ids": ids(2, 4), "attention_mask": torch.full((2, 4), torch.nan)}, "1 marks a real"),
    (
        "E708",
        {"input_ids": ids(2, 4), "attention_mask": torch.ones(2, 6)},
        "covers 6 columns, the input has 4",
    ),
    (
        "E708",
        {"input_ids": ids(2, 4), "attention_mask": torch.ones(2, 3)},
        "covers 3 columns, the input has 4",
    ),
    ("E709", {"input_ids": ids(1, 3), "attention_mask": torch.tensor([[1, 0, 1]])}, "a hole between real"),
    ("E710", {"input_ids": ids(2, 4), "segment_ids": ids(2, 4), "use_cache": True}, "a cache continues one"),
    ("E711", {"input_ids": ids(2, 4), "logits_to_keep": -1}, "logits_to_keep is -1, expected a number"),
    ("E711", {"input_ids": ids(2, 4), "logits_to_keep": None}, "logits_to_keep is None"),
    ("E711", {"input_ids": ids(2, 4), "logits_to_keep": torch.tensor([4])}, "the input has 4 columns"),
    ("E711", {"input_ids": ids(2, 4), "logits_to_keep": torch.tensor([-5])}, "a 1-D tensor of columns"),
    ("E711", {"input_ids": ids(2, 4), "logits_to_keep": torch.tensor(1)}, "logits_to_keep is tensor(1)"),
    (
        "E711",
        {"input_ids": ids(2, 4), "logits_to_keep": torch.tensor([1.0])},
        "logits_to_keep is tensor([1.])",
    ),
    ("E711", {"input_ids": ids(2, 4), "labels": ids(2, 4), "logits_to_keep": 1}, "the logits of every token"),
    ("E712", {"input_ids": ids(2, 0)}, "the input of shape (2, 0) holds no token"),
    ("E712", {"inputs_embeds": EMBEDS[:0]}, "begin with a start token"),
]

SPAN, TOKENS, ROWS = "question-answering", "token-classification", "sequence-classification"
LAST_PADDED = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
HEADS: list[tuple[str, str, dict[str, Any], str]] = [
    ("E706", TOKENS, {"labels": ids(2, 3)}, "labels has shape (2, 3), the input (2, 4)"),
    ("E706", ROWS, {"labels": torch.ones(3).long()}, "with 2 classes needs (2,) or (2, 1)"),
    ("E706", ROWS, {"labels": torch.ones(2)}, "multi_label_classification with 2 classes needs (2, 2)"),
    ("E706", SPAN, {"start_positions": ids(2, 2), "end_positions": ids(2, 2)}, "shape (2, 2), expected (2,)"),
    ("E707", TOKENS, {"labels": torch.full((2, 4), 2)}, "labels: 2 is none of the 2 classes"),
    ("E707", ROWS, {"labels": torch.tensor([0, -1])}, "labels: -1 is none of the 2 classes"),
    ("E707", ROWS, {"labels": torch.ones(2, 2) * 1j}, "expected real numbers"),
    ("E707", SPAN, {"start_positions": torch.ones(2), "end_positions": torch.ones(2)}, "start_positions are"),
    ("E711", SPAN, {"labels": ids(2, 4)}, "learns from start_positions and end_positions"),
    ("E711", SPAN, {"start_positions": ids(2, 1)[:, 0]}, "give both"),
    ("E711", ROWS, {"end_positions": ids(2, 1)[:, 0]}, "has no use for end_positions"),
    ("E711", ROWS, {"segment_ids": ids(2, 4)}, "answers once a row"),
    ("E711", ROWS, {"logits_to_keep": 1}, "answers about whole rows"),
    ("E711", TOKENS, {"num_items_in_batch": 1}, "divides the loss of next tokens"),
    ("E722", ROWS, {"attention_mask": LAST_PADDED}, "in row 1 the row is read at column 3, which is padding"),
    ("E722", TOKENS, {"attention_mask": LAST_PADDED, "labels": torch.ones(2, 4).long()}, "row 1 has a label at"),
    (
        "E722",
        SPAN,
        {"attention_mask": LAST_PADDED, "start_positions": torch.tensor([3, 3]), "end_positions": ids(2, 1)},
        "in row 1 start_positions points at column 3, which is padding",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "head", "call", "text"), HEADS)
def test_heads(code: str, head: Any, call: dict[str, Any], text: str) -> None:
    """What a head cannot answer or learn from."""
    options: Any = {"pad_token_id": 30} if head == ROWS else {}
    built = composer.build(composer.resolve(spec(), head=head, **options), seed=0)
    tokens = ids(2, 4).clamp_max(29)
    found, said = refused(CallError, lambda: built(**{"input_ids": tokens, **call}))

    assert code == found
    assert text in said


OPTIONS: list[tuple[str, str, dict[str, Any], str]] = [
    ("E720", "base", {"num_labels": 3}, "num_labels: the head 'base' takes no num_labels"),
    ("E720", ROWS, {"num_label": 3}, "did you mean 'num_labels'?"),
    ("E720", TOKENS, {"problem_type": "regression"}, "it takes num_labels, id2label, label2id, classifier"),
    ("E721", ROWS, {"num_labels": 0}, "must be a whole number from 1 to 1,000,000, found 0"),
    ("E721", ROWS, {"num_labels": 3, "id2label": {0: "a"}}, "it is 3, and 1 classes have names"),
    ("E721", ROWS, {"id2label": {1: "a"}}, "must number its 1 classes from 0 to 0"),
    ("E721", ROWS, {"id2label": ["a"]}, "must map numbers and names of classes, found a list"),
    ("E721", ROWS, {"id2label": {0: 1}}, "holds 0 and 1, expected a number and the name of its class"),
    ("E721", ROWS, {"label2id": {"a": 0, "b": 0}}, "one number has several names"),
    ("E721", ROWS, {"label2id": {"a": 0}, "id2label": {0: "b"}}, "must lead back from the names of id2label"),
    ("E721", ROWS, {"problem_type": "ranking"}, "must be one of regression, single_label_classification"),
    (
        "E721",
        ROWS,
        {"problem_type": "single_label_classification", "num_labels": 1},
        "needs two classes; one is a regression",
    ),
    ("E721", ROWS, {"pad_token_id": 31}, "must be a token id from 0 to 30, found 31"),
    ("E721", TOKENS, {"classifier_dropout": 1}, "must be from 0 to below 1, found 1"),
    ("E721", TOKENS, {"token_classification_bias": 1}, "must be true or false, found 1"),
]


@pytest.mark.parametrize(("code", "head", "options", "text"), OPTIONS)
def test_head_options(code: str, head: Any, options: Any, text: str) -> None:
    """At resolve, by the name of the option."""
    found, said = refused(CallError, lambda: composer.resolve(spec(), head=head, **options))

    assert code == found
    assert text in said


def test_e723_no_token_to_tell_where_rows_end() -> None:
    """One row ends where it ends."""
    built = composer.build(composer.resolve(spec(), head="sequence-classification"), seed=0)
    code, said = refused(CallError, lambda: built(ids(2, 4)))

    assert "E723" == code
    assert "where the 2 rows end cannot be told: the model has no padding token" in said
    assert (1, 2) == tuple(built(ids(1, 4)).logits.shape)


@pytest.mark.parametrize(
    ("rows", "text"),
    [(0, "from 1, found 0"), (3.0, "from 1, found 3.0"), (4, "the token 4 (eos_token_id) would not be")],
)
def test_e724_a_vocabulary_that_cannot_be(rows: Any, text: str) -> None:
    """Special tokens stay."""
    built = model()
    built.generation = {"eos_token_id": [2, 4]}
    code, said = refused(CallError, lambda: built.resize_token_embeddings(rows))

    assert "E724" == code
    assert text in said
    assert 31 == built.embed.weight.shape[0]


@pytest.mark.parametrize(("code", "call", "text"), CALLS, ids=lambda value: value if value == "E" else None)
def test_call(built: Model, code: str, call: dict[str, Any], text: str) -> None:
    """Each with its code, and in words that name what was given."""
    found, said = refused(CallError, lambda: built(**call))

    assert code == found
    assert text in said


def test_e701_unknown_kernel() -> None:
    """At build, with a suggestion."""
    code, said = refused(CallError, lambda: composer.build(plan(), attention="spda"))

    assert "E701" == code
    assert "no attention kernel is called 'spda'" in said
    assert "did you mean 'sdpa'?" in said
    assert "one of: sdpa, reference" in refused(CallError, lambda: composer.build(plan(), attention="?"))[1]


def test_e702_unknown_head() -> None:
    """At resolve."""
    code, said = refused(CallError, lambda: plan(head="casual-lm"))

    assert "E702" == code
    assert "no head is called 'casual-lm'" in said
    assert "did you mean 'causal-lm'?" in said


def test_e703_gradients_through_a_cache(built: Model) -> None:
    """Said before anything is written."""
    with torch.enable_grad():
        code, said = refused(CallError, lambda: built(ids(1, 2), use_cache=True))

    assert "E703" == code
    assert "gradients do not flow through a cache" in said
    assert "torch.no_grad()" in said


def test_e711_labels_without_a_head() -> None:
    """A base model has no loss."""
    base = composer.build(plan(head="base"))
    code, said = refused(CallError, lambda: base(ids(1, 2), labels=ids(1, 2)))

    assert "E711" == code
    assert "the model has no head" in said
    assert "resolve with head='causal-lm'" in said


def test_e713_a_dtype_that_cannot_learn() -> None:
    """Weights are floating-point numbers of a kind that models have, and a name is none."""
    for dtype, shown in [
        (torch.int8, "torch.int8"),
        (torch.float8_e5m2, "torch.float8"),
        ("bfloat16", "'bf"),
    ]:
        code, said = refused(CallError, lambda dtype=dtype: composer.build(plan(), dtype=dtype))

        assert "E713" == code
        assert f"a model cannot be in {shown}" in said
        assert "one of: torch.float32, torch.bfloat16" in said


@pytest.mark.parametrize("device", ["foo", "cuda:77", None, 1.5])
def test_e716_a_device_that_is_not_there(device: Any) -> None:
    """Said before anything is allocated."""
    code, said = refused(CallError, lambda: composer.build(plan(), device=device))

    assert "E716" == code
    assert f"the device {device!r} cannot be used: " in said


@pytest.mark.parametrize(
    "sizes", [(0, None, 0), (1, 0, 0), (1, None, -1), (-2, 5, 0), ("2", None, 0), (2, 16.5, 0), (2, 16, None)]
)
def test_e801_a_cache_of_nothing(built: Model, sizes: Any) -> None:
    """What was asked for is repeated."""
    code, said = refused(CacheError, lambda: built.new_cache(*sizes))

    assert "E801" == code
    assert f"batch_size={sizes[0]!r}, max_length={sizes[1]!r}, rollback={sizes[2]!r}" in said


def test_e802_a_poisoned_cache(built: Model) -> None:
    """The reason is told, on one line."""
    cache = built.new_cache(1)
    cache.poison(RuntimeError("out of memory\nand much more"))
    code, said = refused(CacheError, lambda: built(ids(1, 1), past_key_values=cache))

    assert "E802" == code
    assert "this cache is unusable: a call failed half-way (RuntimeError: out of memory)" in said
    assert "make a new one with model.new_cache(), empty it with reset(), or restore() a snapshot" in said


def test_e803_angles_that_would_change() -> None:
    """The token, the length at which angles change, and how to declare a length."""
    rope = {"type": "dynamic", "factor": 2.0}
    long = model([None], rope=rope)
    code, said = refused(CacheError, lambda: long(ids(1, 65), use_cache=True))

    assert "E803" == code
    assert "token 65 lies past 64, where dynamic rope changes its angles" in said
    assert "model.new_cache(batch_size, max_length=...)" in said


def test_e804_another_batch(built: Model) -> None:
    """Rows of the cache and of the call."""
    code, said = refused(CacheError, lambda: built(ids(3, 1), past_key_values=built.new_cache(2)))

    assert "E804" == code
    assert "the cache holds 2 rows, the call has 3" in said


def test_e805_no_room(built: Model) -> None:
    """Real tokens count, padding does not."""
    cache = built.new_cache(2, max_length=3)
    mask = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0]])
    built(ids(2, 4), attention_mask=mask, past_key_values=cache)
    code, said = refused(CacheError, lambda: built(ids(2, 1), past_key_values=cache))

    assert "E805" == code
    assert "a row would reach 4 tokens, the cache was made for 3" in said
    assert [3, 0] == cache.lengths


def filled(windows: list[int | None], rollback: int) -> HybridCache:
    """A cache of two rows with nine tokens each."""
    built = model(windows)
    cache = built.new_cache(2, rollback=rollback)
    built(ids(2, 9), past_key_values=cache)
    return cache


@pytest.mark.parametrize("tokens", [10, -1, [1], [1, 2, 3], [0, 10], 1.0, "1", None, [1.0, 1]])
def test_e806_forgetting_what_is_not_there(tokens: Any) -> None:
    """What was asked, and what there is."""
    cache = filled([None], 0)
    code, said = refused(CacheError, lambda: cache.rollback(tokens))

    assert "E806" == code
    assert f"cannot forget {tokens!r} tokens of rows that hold [9, 9]" in said


def test_e807_further_back_than_a_ring() -> None:
    """The ring is named; several steps back count together."""
    cache = filled([None, 4], 2)
    code, said = refused(CacheError, lambda: cache.rollback(3))
    assert "E807" == code
    assert "layers.1.mixer is a ring and can go back 2 tokens from the most it has had, not 3" in said
    assert "model.new_cache(..., rollback=3)" in said
    cache.rollback(1)

    assert "E807" == refused(CacheError, lambda: cache.rollback(2))[0]


def test_e808_a_cache_of_something_else(built: Model) -> None:
    """Another library's, another model's, or of another dtype."""
    for cache, text in [
        ((), "past_key_values is a tuple, expected a cache of this library"),
        (model([3]).new_cache(1), "the cache was made for another model"),
        (
            model().half().new_cache(1),
            "the cache holds torch.float16 on cpu, the model is torch.float32 on cpu",
        ),
    ]:
        code, said = refused(CacheError, lambda cache=cache: built(ids(1, 1), past_key_values=cache))
        assert "E808" == code
        assert text in said


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda cache: cache.select([0, 5]), "cannot select [0, 5] of a cache of 2 rows"),
        (lambda cache: cache.select([]), "cannot select [] of a cache of 2 rows"),
        (lambda cache: cache.select(torch.tensor([[0]])), "cannot select tensor([[0]]) of a cache of 2 rows"),
        (lambda cache: cache.select([True]), "row numbers from 0 to 1"),
        (lambda cache: cache.reorder([1]), "cannot reorder by [1] of a cache of 2 rows"),
        (lambda cache: cache.reorder([0, -1]), "2 row numbers from 0 to 1"),
        (lambda cache: cache.reset([2]), "cannot empty [2] of a cache of 2 rows"),
        (lambda cache: cache.repeat(0), "cannot repeat every row 0 times"),
        (lambda cache: cache.repeat(1.5), "cannot repeat every row 1.5 times"),
    ],
)
def test_e809_rows_that_are_not_there(call: Any, said: str) -> None:
    """What was asked, and how many there are."""
    cache = filled([None], 0)
    code, text = refused(CacheError, lambda: call(cache))

    assert "E809" == code
    assert said in text
    assert [9, 9] == cache.lengths


def test_e810_caches_that_are_not_alike(built: Model) -> None:
    """The first difference is named."""
    one = built.new_cache(1)
    for other, text in [
        (built.new_cache(1, rollback=2), "caches made for rollback 0 and 2 cannot be joined"),
        (built.new_cache(1, max_length=8), "caches made for max_length None and 8 cannot be joined"),
        (model([3]).new_cache(1), "caches made for different models cannot be joined"),
        (
            model().half().new_cache(1),
            "caches made for dtype torch.float32 and torch.float16 cannot be joined",
        ),
        (None, "what is joined is a list of caches, at least one"),
    ]:
        code, said = refused(CacheError, lambda other=other: HybridCache.concatenate([one, other]))

        assert "E810" == code
        assert text in said
    assert "E810" == refused(CacheError, lambda: HybridCache.concatenate([]))[0]


def test_e811_a_snapshot_of_something_else(built: Model) -> None:
    """Rows of one cache mean nothing in another."""
    one, other = built.new_cache(1), built.new_cache(1)
    code, said = refused(CacheError, lambda: one.restore(other.snapshot()))

    assert "E811" == code
    assert "the snapshot was taken of another cache" in said
    assert "a HybridCache is no snapshot of this cache" in refused(CacheError, lambda: one.restore(other))[1]


def test_e812_another_dtype(built: Model) -> None:
    """The dtype is the model's, and the meta device remembers nothing."""
    cache = built.new_cache(1)
    code, said = refused(CacheError, lambda: cache.to(torch.float16))

    assert "E812" == code
    assert "a cache cannot be kept in torch.float16" in said
    assert "a cache cannot be kept on meta" in refused(CacheError, lambda: cache.to("meta"))[1]
    assert "E716" == refused(CallError, lambda: cache.to("nowhere"))[0]


def test_e813_what_tuples_cannot_hold() -> None:
    """The state is named."""
    ragged = filled([None], 0)
    ragged.rollback([1, 0])
    for cache, text in [
        (
            filled([4], 0),
            "this cache cannot be one of tuples: layers.0.mixer is a ring and has dropped its oldest",
        ),
        (ragged, "the rows hold [8, 9] tokens, and tuples have no lengths"),
    ]:
        code, said = refused(CacheError, cache.to_legacy)

        assert "E813" == code
        assert text in said


def test_e814_tuples_of_something_else() -> None:
    """The first thing that does not fit."""
    two = model([None, None])
    good = torch.zeros(1, 2, 5, 6)
    for pairs, text in [
        (
            [(good, good)],
            "these tuples are not the memory of this model: 1 layers were given, the model has 2",
        ),
        ([(good, good), (good,)], "layers.1.mixer: expected a key and a value, two tensors"),
        ([(good, good), (good, good[:, :, :4])], "v has the shape (1, 2, 4, 6), expected (1, 2, 5, 6)"),
        ([(good, good), (good, good.half())], "v is torch.float16 on cpu, the model torch.float32 on cpu"),
        (None, "found NoneType"),
        ([(good[:0], good[:0])], "they have no rows"),
    ]:
        code, said = refused(CacheError, lambda pairs=pairs: HybridCache.from_legacy(pairs, two))

        assert "E814" == code
        assert text in said


def test_e719_past_the_learned_positions() -> None:
    """The position is named, and how many there are."""
    spec = composer.read_spec(
        "pocket-mistral", set=["embedding.positions={offset: 2}", "max_position_embeddings=8"]
    )
    model = composer.build(composer.resolve(spec), seed=0)
    code, said = refused(CallError, lambda: model(torch.zeros(1, 9, dtype=torch.int64)))
    assert ("E719", "position 8 is past the last of the 8 that the model has learned") == (
        code,
        said.split("\n")[0].removesuffix(" [E719]"),
    )
    below = torch.full((1, 2), -3)
    code, said = refused(CallError, lambda: model(torch.zeros(1, 2, dtype=torch.int64), position_ids=below))
    assert "E719" == code
    assert "position_ids begin at -3, the model's at -2" in said
