"""What a call returns besides logits: losses, hidden states, attention weights."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers.loss.loss_utils import ForCausalLMLoss

import composer
from composer.nn import Model

from .models import VOCAB, close, ids, model, plan


@pytest.fixture(scope="module")
def built() -> Model:
    """A full layer and a window."""
    return model([None, 3])


LEFT = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]])


@pytest.mark.parametrize("ignored", [0, 3, 6])
def test_loss_is_the_references(built: Model, ignored: int) -> None:
    """Each token predicts the next; -100 does not count; half precision is summed in float32."""
    tokens = ids(2, 6)
    labels = tokens.clone()
    labels[0, :ignored] = -100
    out = built(tokens, labels=labels)
    expected = ForCausalLMLoss(out.logits, labels, VOCAB)
    assert out.loss is not None

    assert expected.item() == pytest.approx(out.loss.item(), rel=1e-6)
    half = copy.deepcopy(built).to(torch.bfloat16)(tokens, labels=labels)
    assert half.loss.dtype == torch.float32
    assert ForCausalLMLoss(half.logits, labels, VOCAB).item() == pytest.approx(half.loss.item(), rel=1e-6)


def test_labels_of_any_integers(built: Model) -> None:
    """32-bit labels are as good as 64-bit ones."""
    tokens = ids(2, 6)

    assert built(tokens.int(), labels=tokens.int()).loss == built(tokens, labels=tokens).loss


def test_loss_under_padding(built: Model) -> None:
    """Labels stand where the caller's tokens stand; a row's first token is not predicted from its padding."""
    tokens, mask = ids(3, 6), LEFT
    labels = tokens.masked_fill(mask.cumsum(1) < 2, -100)
    right = torch.stack([t.roll(int(m.sum())) for t, m in zip(tokens, mask, strict=True)])
    shifted = torch.stack([t.roll(int(m.sum())) for t, m in zip(labels, mask, strict=True)])
    a = built(tokens, attention_mask=mask, labels=labels).loss
    b = built(right, attention_mask=mask.flip(1), labels=shifted).loss

    assert a.item() == pytest.approx(b.item(), rel=1e-5)


def test_loss_reaches_every_parameter(built: Model) -> None:
    """Training moves everything there is."""
    twin = copy.deepcopy(built).train()
    twin(ids(2, 6), labels=ids(2, 6)).loss.backward()

    assert [] == [name for name, p in twin.named_parameters() if p.grad is None or not p.grad.any()]


@torch.no_grad()
@pytest.mark.parametrize("mask", [None, LEFT, LEFT.flip(1)])
def test_hidden_states_are_what_each_layer_reads(built: Model, mask: torch.Tensor | None) -> None:
    """L + 1 of them: the embedding first, the final norm's output last, in the caller's columns."""
    tokens = ids(3, 6)
    out = built(tokens, attention_mask=mask, output_hidden_states=True)
    real = torch.ones(3, 6, dtype=torch.bool) if mask is None else mask == 1
    first, _, last = out.hidden_states

    assert torch.equal(first[real], built.embed(tokens)[real])
    assert last is out.last_hidden_state
    assert close(built.head(last, built.embed.weight)[real], out.logits[real])
    assert close(out.logits[real], built(tokens, attention_mask=mask).logits[real])


@torch.no_grad()
def test_base_models_return_the_stream(built: Model) -> None:
    """Without a head there are no logits, and the last hidden state comes unasked."""
    base = composer.build(plan([None, 3], head="base"))
    base.load_state_dict({n: p for n, p in built.state_dict().items() if not n.startswith("head.")})
    out = base(ids(1, 5))

    assert out.logits is None
    assert close(out.last_hidden_state, built(ids(1, 5), output_hidden_states=True).last_hidden_state)


@torch.no_grad()
@pytest.mark.parametrize("mask", [None, LEFT, LEFT.flip(1)])
def test_attention_weights(built: Model, mask: torch.Tensor | None) -> None:
    """(B, H, T, T) a layer in the caller's columns: rows of real tokens sum to 1, pads and the unseen get 0."""
    out = built(ids(3, 6), attention_mask=mask, output_attentions=True)
    real = torch.ones(3, 6, dtype=torch.bool) if mask is None else mask == 1
    key, query = torch.arange(6)[None], torch.arange(6)[:, None]
    for window, weights in zip((6, 3), out.attentions, strict=True):
        assert (3, 4, 6, 6) == tuple(weights.shape)
        seen = (key <= query) & (key > query - window) & real[:, None, None, :]
        rows = weights.transpose(1, 2)[real]
        assert close(rows.sum(-1), torch.ones(1))
        assert not weights.masked_fill(seen, 0).transpose(1, 2)[real].any()
        assert (weights.where(seen, 1).transpose(1, 2)[real] > 0).all()


@torch.no_grad()
@pytest.mark.parametrize("windows", [(None,), (3,)])
def test_attention_weights_over_a_cache(windows: tuple[int | None, ...]) -> None:
    """Asking for weights changes no logits; each row of weights sums to 1 over what is remembered."""
    built = model(windows)
    tokens = ids(2, 9)
    cache = built.new_cache(2)
    built(tokens[:, :5], past_key_values=cache)
    out = built(tokens[:, 5:], past_key_values=cache, output_attentions=True)

    assert close(out.logits, built(tokens).logits[:, 5:])
    assert close(out.attentions[0].sum(-1), torch.ones(1))


@torch.no_grad()
def test_attention_weights_of_a_continued_row(built: Model) -> None:
    """Where one row continues and another begins, columns are places in the row, padding or not."""
    cache, tokens = built.new_cache(2), ids(2, 3)
    first = torch.tensor([[0, 0], [1, 1]])
    built(tokens[:, :2], attention_mask=first, past_key_values=cache)
    then = torch.tensor([[1, 1, 1], [0, 0, 1]])
    out = built(tokens, attention_mask=then, past_key_values=cache, output_attentions=True)
    row = torch.cat([tokens[1, :2], tokens[1, 2:]])[None]
    expected = built(row, output_attentions=True).attentions

    assert close(out.attentions[0][1, :, 2], expected[0][0, :, 2])


def test_attention_weights_of_a_model_that_has_none() -> None:
    """One entry for each layer with attention: here no entry, which is not the same as not asked for."""
    spec = plan().spec
    only = spec.model_copy(update={"pattern": "mlp×3", "layer": None})
    out = composer.build(composer.resolve(only), seed=0)(ids(1, 4), output_attentions=True)

    assert () == out.attentions
