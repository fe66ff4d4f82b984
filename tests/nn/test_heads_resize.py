"""Vocabularies of another size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import composer
from composer.nn import Model

from .models import VOCAB, close, ids, model, plan, spec


def built(tied: bool, bias: bool = False) -> Model:
    """A small model whose head is the token table, or one of its own."""
    given = {**spec().model_dump(exclude_unset=True), "head": {"tied": tied, "bias": bias}}
    return composer.build(composer.resolve(composer.Spec.model_validate(given)), seed=0)


@torch.no_grad()
@pytest.mark.parametrize("rows", [5, 40])
@pytest.mark.parametrize("tied", [True, False])
def test_old_tokens_stay(tied: bool, rows: int) -> None:
    """Their vectors and logits are what they were; the plan has the new size and the names of all there is."""
    one = built(tied, bias=True).prepare()
    tokens, kept = ids(2, 6) % 5, min(rows, VOCAB)
    before = one(tokens).logits
    table = one.resize_token_embeddings(rows)
    after = one(tokens).logits

    assert table is one.embed
    assert (2, 6, rows) == tuple(after.shape)
    assert close(after[..., :kept], before[..., :kept])
    assert rows == one.plan.sizes.vocab_size == one.plan.spec.vocab_size == table.num_embeddings
    assert {n: p.shape for n, p in one.plan.parameters().items()} == {
        n: tuple(p.shape) for n, p in one.named_parameters()
    }


@torch.no_grad()
def test_new_tokens_are_the_mean_or_drawn() -> None:
    """In the table and in a head of its own."""
    mean, drawn = built(False), built(False)
    old, head = mean.embed.weight.clone(), mean.head.weight.clone()
    mean.resize_token_embeddings(VOCAB + 3)
    drawn.resize_token_embeddings(VOCAB + 300, mean_resizing=False)

    assert torch.allclose(mean.embed.weight[-1], old.mean(0))
    assert torch.allclose(mean.head.weight[-1], head.mean(0))
    assert drawn.embed.weight[VOCAB:].std().item() == pytest.approx(1.0, rel=0.1)
    assert drawn.head.weight[VOCAB:].std().item() == pytest.approx(0.3, rel=0.1)


def test_up_to_a_whole_multiple() -> None:
    """Of the size that is given, or of the one there is; without either nothing changes."""
    one = model()
    assert 64 == one.resize_token_embeddings(33, pad_to_multiple_of=32).num_embeddings
    assert 70 == one.resize_token_embeddings(pad_to_multiple_of=10).num_embeddings
    before = one.embed.weight
    assert torch.equal(before, one.resize_token_embeddings().weight)


def test_training_goes_on() -> None:
    """Gradients reach the new rows, of whatever does learn."""
    one = built(True).train()
    one.embed.weight.requires_grad_(False)
    one.resize_token_embeddings(VOCAB + 1)
    assert not one.embed.weight.requires_grad
    one.embed.weight.requires_grad_(True)
    tokens = torch.full((1, 3), VOCAB)
    one(tokens, labels=tokens).loss.backward()
    assert one.embed.weight.grad[VOCAB].any()


@pytest.mark.parametrize("layout", ["hf", "composer"])
def test_a_saved_model_has_the_new_size(layout: str, tmp_path: Path) -> None:
    """And what it was told of its parameters is not said again."""
    one = composer.load("pocket-mistral")
    one.resize_token_embeddings(2100)
    composer.save(one, tmp_path / "m", layout=layout)
    again = composer.load(tmp_path / "m")

    assert 2100 == again.plan.sizes.vocab_size == again(torch.tensor([[2099]])).logits.shape[-1]
    assert "parameters" not in again.plan.spec.metadata


def test_heads_that_are_not_over_tokens_stay() -> None:
    """Only the table changes; shapes without numbers change, too."""
    classes = composer.build(plan(head="token-classification"), device="meta")
    classes.resize_token_embeddings(50)

    assert (2, 16) == tuple(classes.head.weight.shape)
    assert (50, 16) == tuple(classes.embed.weight.shape)
    assert classes.embed.weight.is_meta
