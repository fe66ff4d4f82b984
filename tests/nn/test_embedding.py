"""Learned positions, projections, scales, norm options and what training leaves out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import composer
from composer.errors import CallError
from composer.nn import Model
from composer.nn.draws import draw
from composer.spec import Draw

from .models import VOCAB, close, ids


def model(**changes: Any) -> Model:
    """Two layers of attention and MLP with LayerNorms."""
    wide = {"distribution": "normal", "spread": 0.3}
    data: dict[str, Any] = {
        "composer": 1,
        "name": "learned",
        "vocab_size": VOCAB,
        "hidden_size": 16,
        "max_position_embeddings": 12,
        "norm": {"kind": "layer", "eps": 1e-5},
        "layer": [{"norm": "layer", "mix": "mixer"}, {"norm": "layer", "mix": "mlp"}],
        "pattern": "full×2",
        "blocks": {
            "full": {"kind": "attention", "num_attention_heads": 4, "bias": True, "out_bias": True},
            "mlp": {"kind": "mlp", "intermediate_size": 20, "hidden_act": "relu", "bias": True},
        },
        "init": {kind: wide for kind in ("linear", "embedding", "position", "bias", "norm")},
    }
    spec = composer.Spec.model_validate({**data, **changes})
    return composer.build(composer.resolve(spec), seed=0)


LEARNED = {"size": 6, "positions": {"offset": 2}, "scale": 3.0, "padding": 1}


@torch.no_grad()
def test_the_stream() -> None:
    """Look-up, scale, projection, then the row of the position behind the offset."""
    built, tokens = model(embedding=LEARNED), ids(2, 5)
    stream = built(tokens, output_hidden_states=True).hidden_states[0]
    named = dict(built.named_parameters())
    looked = named["embed.weight"][tokens] * 3
    expected = looked @ named["project_in.weight"].T + named["positions.weight"][2:7]

    assert list(built.plan.parameters()) == list(named)
    assert (14, 16) == tuple(named["positions.weight"].shape)
    assert close(stream, expected)
    assert not named["embed.weight"][1].any()


@torch.no_grad()
def test_padding_does_not_move_positions() -> None:
    """A row counts its own real tokens, on whatever side the padding is, and when a cache continues."""
    built, tokens = model(embedding=LEARNED), ids(1, 6)
    alone = built(tokens).logits
    padded = torch.cat([ids(1, 2), tokens], 1)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1]])
    cache = built.new_cache(1)
    parts = [built(part, past_key_values=cache).logits for part in tokens.split([4, 2], 1)]

    assert close(built(padded, attention_mask=mask).logits[:, 2:], alone)
    assert close(torch.cat(parts, 1), alone)


@torch.no_grad()
def test_pads_return_zeros() -> None:
    """A LayerNorm's bias does not show where there is no token."""
    built = model(final_norm=True, layer=[{"after": "layer", "mix": "mixer"}])
    out = built(
        ids(2, 4), attention_mask=torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]), output_hidden_states=True
    )

    assert not out.hidden_states[-1][1, 2:].any()
    assert out.hidden_states[-1][1, :2].any()


@torch.no_grad()
def test_no_final_norm() -> None:
    """Without it the head reads what the last layer returns."""
    built = model(final_norm=False)
    states = built(ids(1, 4), output_hidden_states=True)

    assert "norm.weight" not in built.plan.parameters()
    assert close(states.logits, states.hidden_states[-1] @ built.head.weight.T)


@torch.no_grad()
def test_softcap() -> None:
    """Logits never pass the cap."""
    plain, capped = model(), model(head={"softcap": 0.5})

    assert close(capped(ids(1, 4)).logits, 0.5 * torch.tanh(plain(ids(1, 4)).logits / 0.5))


@pytest.mark.parametrize("key", ["layerdrop", "embedding", "layer"])
def test_dropped_in_training_alone(key: str) -> None:
    """Dropout and layerdrop show when training and never otherwise."""
    given: dict[str, Any] = {
        "layerdrop": 0.5,
        "embedding": {"dropout": 0.5},
        "layer": [{"norm": "layer", "mix": "mixer", "dropout": 0.5}],
    }
    built = model(**{key: given[key]})
    plain = model(**({"layer": [{"norm": "layer", "mix": "mixer"}]} if key == "layer" else {}))
    torch.manual_seed(0)

    assert torch.equal(plain(ids(2, 5)).logits, built(ids(2, 5)).logits)
    built.train()
    assert len({float(built(ids(2, 5)).logits.detach().sum()) for _ in range(8)}) > 1


@torch.no_grad()
def test_norm_options() -> None:
    """1 + w in float32, rounded after the product; and a norm without any weight."""
    one = {"kind": "rms", "eps": 1e-6, "offset": 1.0, "cast": "after"}
    built = model(norm=one, layer=[{"norm": "rms", "mix": "mixer"}]).to(torch.bfloat16)
    norm = built.norm
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    wide = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)

    assert torch.equal(norm(x), (wide * (1.0 + norm.weight.float())).to(torch.bfloat16))
    bare = {"kind": "layer", "eps": 1e-5, "affine": False}
    assert not [n for n in model(norm=bare).plan.parameters() if "norm" in n]


def test_draws() -> None:
    """Values whose softplus is log-uniform, and logarithms of whole numbers."""
    from composer.nn.draws import draw
    from composer.spec import Draw

    how = Draw(distribution="log_uniform_softplus", low=0.001, high=0.1, floor=0.002)
    found = torch.nn.functional.softplus(draw(torch.empty(20_000), how, torch.Generator().manual_seed(0)))
    share = (found <= 0.00201).float().mean()

    assert 0.00199 < float(found.min())
    assert float(found.max()) < 0.1001
    assert abs(float(share) - 0.1505) < 0.01  # log 2 of log 100
    counted = draw(torch.empty(4), Draw(distribution="log_range"), None)
    assert close(counted.exp(), torch.tensor([1.0, 2.0, 3.0, 4.0]))


@torch.no_grad()
def test_positions_of_padding_count_for_nothing() -> None:
    """A call may put anything where no token is; of real tokens a position before the table is refused."""
    built = model(embedding={"positions": {"offset": 0}})
    mask, places = torch.tensor([[0, 1, 1], [1, 1, 1]]), torch.tensor([[-1, 0, 1], [0, 1, 2]])
    padded = built(ids(2, 3), mask, places).logits

    assert close(padded[:1, 1:], built(ids(2, 3)[:1, 1:]).logits)
    with pytest.raises(CallError, match="position_ids begin at -1"):
        built(ids(1, 3), position_ids=places[:1])


def test_layers_are_left_out_whatever_is_asked_for() -> None:
    """The same seed leaves out the same layers of a training step, with hidden states and without."""
    built = model(layerdrop=0.5).train()

    def loss(**asked: bool) -> float:
        return float(built(ids(2, 5), labels=ids(2, 5), **asked).loss.detach())

    for seed in range(4):
        torch.manual_seed(seed)
        plain = loss()
        torch.manual_seed(seed)
        assert plain == pytest.approx(loss(output_hidden_states=True), rel=1e-5)


def test_the_least_step_is_a_number() -> None:
    """A softplus too small for float32 is drawn as the smallest there is."""
    how = Draw(distribution="log_uniform_softplus", low=1e-300, high=1e-300)

    assert torch.isfinite(draw(torch.empty(3), how, None)).all()


def test_position_ids_are_whole_numbers() -> None:
    """Of any width; what is none is refused in a sentence."""
    built, places = model(embedding={"positions": {}}), torch.arange(3)[None]
    wide, narrow = (built(ids(1, 3), position_ids=places.to(d)).logits for d in (torch.int64, torch.uint8))

    assert torch.equal(wide, narrow)
    for wrong in (places.float(), places > 0):
        with pytest.raises(CallError, match="position_ids are .*, expected whole numbers"):
            built(ids(1, 3), position_ids=wrong)
