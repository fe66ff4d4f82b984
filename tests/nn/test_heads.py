"""What heads answer, and what they learn from."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import composer
from composer.nn import Model

from .models import close, ids, model, plan, spec

ROWS, TOKENS, SPAN = "sequence-classification", "token-classification", "question-answering"
RIGHT = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]])


def headed(head: Any, seed: int = 0, **options: Any) -> Model:
    """A full layer and a window under a head."""
    return composer.build(composer.resolve(spec([None, 3]), head=head, **options), seed=seed)


def rows(**options: Any) -> Model:
    """Three classes of whole rows, padded with token 30."""
    return headed(ROWS, **{"num_labels": 3, "pad_token_id": 30, **options})


@torch.no_grad()
@pytest.mark.parametrize("head", [ROWS, TOKENS, SPAN])
def test_a_head_is_linear_on_the_last_states(head: Any) -> None:
    """Its scores are those states times its matrix, plus its bias."""
    built = headed(head, **({"pad_token_id": 30} if head == ROWS else {}))
    out = built(ids(2, 6).clamp_max(29), output_hidden_states=True)
    expected = F.linear(out.last_hidden_state, built.head.weight, built.head.bias)
    if head == SPAN:
        assert close(torch.stack((out.start_logits, out.end_logits), -1), expected)
    else:
        assert close(out.logits, expected[:, -1] if head == ROWS else expected)


@torch.no_grad()
@pytest.mark.parametrize("masked", [True, False])
def test_pooling_goes_by_the_padding_token(masked: bool) -> None:
    """The last other token counts, wherever padding stands, with a mask or without."""
    built, tokens = rows(), ids(1, 3).clamp_max(29)
    alone, pads = built(tokens).logits, torch.full((1, 3), 30)
    for padded, real in (
        (torch.cat((tokens, pads), 1), RIGHT[:1]),
        (torch.cat((pads, tokens), 1), 1 - RIGHT[:1]),
    ):
        out = built(padded, attention_mask=real if masked else None)
        if masked or padded[0, 0] != 30:
            assert close(out.logits, alone)
        else:
            assert not close(out.logits, alone)


@torch.no_grad()
def test_a_padding_token_of_ones_own_is_not_seen() -> None:
    """Where the padding token ends texts, too, the token in front of it is read; a row of nothing else at 0."""
    built, tokens = rows(), ids(2, 5).clamp_max(29)
    ended = torch.cat((tokens, torch.full((2, 1), 30)), 1)

    assert close(built(ended).logits, built(tokens).logits)
    nothing = torch.full((1, 4), 30)
    assert close(built(nothing).logits, built(nothing[:, :1]).logits)


@torch.no_grad()
def test_embeddings_are_read_at_the_last_column() -> None:
    """There are no ids to look at; padding there is refused."""
    built, tokens = rows(), ids(2, 6).clamp_max(29)
    embeds = built.embed(tokens)

    assert close(built(inputs_embeds=embeds).logits, built(tokens).logits)
    with pytest.raises(
        composer.ComposerError, match="in row 0 the row is read at column 5, which is padding"
    ):
        built(inputs_embeds=embeds, attention_mask=RIGHT)


@torch.no_grad()
@pytest.mark.parametrize("flip", [False, True])
def test_no_answer_lies_in_padding(flip: bool) -> None:
    """Its scores are the lowest there are; those of tokens are what they are alone."""
    built, tokens = headed(SPAN), ids(2, 6)
    mask = RIGHT.flip(1) if flip else RIGHT
    out = built(tokens, attention_mask=mask)
    alone = built(tokens[:1][mask[:1] == 1][None])

    assert close(out.start_logits[0][mask[0] == 1], alone.start_logits[0])
    assert {torch.finfo(torch.float32).min} == set(out.end_logits[0][mask[0] == 0].tolist())


@torch.no_grad()
def test_the_loss_of_answers_does_not_see_padding() -> None:
    """It is the mean of the rows' own; a position past the end does not count, a negative one is the first."""
    built, tokens = headed(SPAN), ids(2, 6)
    starts, ends = torch.tensor([1, -3]), torch.tensor([[2], [9]])
    together = built(tokens, attention_mask=RIGHT, start_positions=starts, end_positions=ends).loss
    first = built(tokens[:1, :3], start_positions=starts[:1], end_positions=ends[:1])
    second = built(tokens[1:])
    start = (
        F.cross_entropy(first.start_logits, starts[:1])
        + F.cross_entropy(second.start_logits, torch.tensor([0]))
    ) / 2
    end = F.cross_entropy(first.end_logits, ends[0])

    assert together.item() == pytest.approx(((start + end) / 2).item(), rel=1e-5)
    assert built(tokens, start_positions=starts + 9, end_positions=ends).loss.isnan()


@pytest.mark.parametrize(
    ("classes", "labels", "problem"),
    [
        (1, torch.tensor([1, 0]), "regression"),
        (1, torch.tensor([[0.5], [2.0]]), "regression"),
        (3, torch.tensor([2, -100]), "single_label_classification"),
        (3, torch.tensor([[2], [0]], dtype=torch.int32), "single_label_classification"),
        (3, torch.tensor([[True, False, True]] * 2), "multi_label_classification"),
    ],
)
def test_the_first_labels_decide_the_problem(classes: int, labels: torch.Tensor, problem: str) -> None:
    """The model keeps it, the plan does not change, and later labels are held to it."""
    built = rows(num_labels=classes)
    before = built.plan
    loss = built(ids(2, 4).clamp_max(29), labels=labels).loss
    loss.backward()

    assert problem == built.problem_type
    assert None is before.head.problem_type
    assert before is built.plan
    assert torch.float32 == loss.dtype
    if problem == "single_label_classification":
        with pytest.raises(composer.ComposerError, match="labels are torch.float32, expected whole"):
            built(ids(2, 4), labels=torch.ones(2))


def test_a_problem_that_is_said() -> None:
    """Whole numbers may be targets of a regression over several classes."""
    built = rows(problem_type="regression")
    tokens, labels = ids(2, 4).clamp_max(29), torch.tensor([[1, 2, 3], [4, 5, 6]])

    expected = F.mse_loss(built(tokens).logits, labels.float())
    assert built(tokens, labels=labels).loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_losses_are_of_float32() -> None:
    """Scores of half precision are widened before they are compared."""
    for head, targets in (
        (TOKENS, {"labels": ids(2, 4) % 2}),
        (SPAN, {"start_positions": ids(2, 1)[:, 0] % 4, "end_positions": ids(2, 1)[:, 0] % 4}),
    ):
        half = headed(head).to(torch.bfloat16)
        out = half(ids(2, 4), **targets)
        assert torch.float32 == out.loss.dtype
    expected = F.cross_entropy(out.start_logits.float(), targets["start_positions"])
    other = F.cross_entropy(out.end_logits.float(), targets["end_positions"])
    assert out.loss.item() == pytest.approx(((expected + other) / 2).item(), rel=1e-6)


def test_dropout_in_front_of_tokens() -> None:
    """In training alone, a tenth where nothing is said, and no other head has it."""
    tokens = ids(2, 6)
    for built, drops in ((headed(TOKENS), True), (headed(TOKENS, classifier_dropout=0.0), False)):
        built.train()
        assert drops != torch.equal(built(tokens).logits, built(tokens).logits)
        built.eval()
        assert torch.equal(built(tokens).logits, built(tokens).logits)
    assert 0.1 == plan(head=TOKENS).head.dropout
    assert None is plan(head=SPAN).head.dropout


def test_what_a_plan_says_of_its_head() -> None:
    """Names of classes, counts and FLOPs; a bias only where one is."""
    by_name = composer.resolve(spec(), head=ROWS, label2id={"no": 0, "yes": 1})
    tokens = composer.resolve(spec(), head=TOKENS, num_labels=5, token_classification_bias=False)

    assert ("no", "yes") == by_name.head.labels
    assert {"head.weight": (2, 16)} == shapes(by_name)
    assert {"head.weight": (5, 16)} == shapes(tokens)
    assert {"head.weight": (2, 16), "head.bias": (2,)} == shapes(plan(head=SPAN))
    assert 2 * 5 * 16 == tokens.flops(3) - plan(head="base").flops(3)


def shapes(resolved: composer.Plan) -> dict[str, tuple[int, ...]]:
    """Those of the head."""
    return {name: p.shape for name, p in resolved.parameters().items() if name.startswith("head.")}


@pytest.mark.parametrize("head", [ROWS, TOKENS, SPAN])
def test_every_parameter_learns(head: Any) -> None:
    """From the loss of the head; a copy learns by itself."""
    built = copy.deepcopy(headed(head, **({"pad_token_id": 30} if head == ROWS else {}))).train()
    labels = torch.tensor([0, 1]) if head == ROWS else ids(2, 4) % 2
    span = {"start_positions": torch.tensor([0, 1]), "end_positions": torch.tensor([2, 3])}
    built(ids(2, 4).clamp_max(29), **(span if head == SPAN else {"labels": labels})).loss.backward()

    assert [] == [name for name, p in built.named_parameters() if p.grad is None]


@torch.no_grad()
def test_classes_from_a_cache() -> None:
    """What is remembered is continued by any head."""
    built, tokens = rows(), ids(2, 6).clamp_max(29)
    cache = built.new_cache(2)
    built(tokens[:, :4], past_key_values=cache)

    assert close(built(tokens[:, 4:], past_key_values=cache).logits, built(tokens).logits)


def test_a_sum_divided_by_what_the_whole_batch_counts() -> None:
    """Parts of a batch add up to its loss when they are told how many labels it has."""
    built, tokens = model([None, 3]), ids(4, 6)
    whole = built(tokens, labels=tokens).loss
    parts = [built(t, labels=t, num_items_in_batch=torch.tensor(20)).loss for t in tokens.split(1)]

    assert whole.item() == pytest.approx(sum(parts).item(), rel=1e-6)
