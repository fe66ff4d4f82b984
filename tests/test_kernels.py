"""Attention kernels of other libraries and the packed form of linears: the same numbers as the plain path."""

from __future__ import annotations

import copy
import pickle
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import composer
from composer.nn import kernels
from composer.nn.attend import KERNELS
from composer.nn.packed import pack, packs

SPEC = """
composer: 1
name: kernels
vocab_size: 61
hidden_size: 32
norm: {kind: rms, eps: 1.0e-5}
layer: [{norm: rms, mix: mixer}, {norm: rms, mix: mlp}]
pattern: full, swa
blocks:
  full: {kind: attention, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 8, rope: {theta: 1.0e+4}}
  swa: {extends: full, sliding_window: 5}
  mlp: {kind: mlp, intermediate_size: 48, hidden_act: silu, gated: true}
"""


def model(text: str = SPEC, **options: Any) -> Any:
    """A small model with weights large enough to tell settings apart."""
    built = composer.build(composer.resolve(composer.read_spec(text)), seed=3, **options)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    return built


def ids(length: int = 17) -> torch.Tensor:
    """Two rows of tokens."""
    return torch.randint(0, 61, (2, length), generator=torch.Generator().manual_seed(1))


def chunked(built: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Logits of one row whole and one padded, in chunks, then a single step, through a cache."""
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    cache = built.new_cache(2, 40)
    outs = [built(tokens[:, :9], attention_mask=mask, past_key_values=cache)]
    outs += [built(tokens[:, a:b], past_key_values=cache) for a, b in ((9, 16), (16, 17))]
    return torch.cat([out.logits for out in outs], dim=1)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", ["sdpa", "flex"])
def test_kernels_equal_the_reference(name: str) -> None:
    """Whole, padded, chunked and single-step calls give the reference's logits."""
    built, tokens = model(), ids()
    built.attention = "reference"
    whole, parts = built(tokens).logits, chunked(built, tokens)
    built.attention = name

    torch.testing.assert_close(built(tokens).logits, whole, rtol=0, atol=2e-5)
    torch.testing.assert_close(chunked(built, tokens), parts, rtol=0, atol=2e-5)


def flash_double(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dropout_p: float, softmax_scale: float, **masking: Any
) -> torch.Tensor:
    """What the flash-attn package documents: (B, T, H, E), the last query aligned with the last key."""
    assert masking["causal"]
    back, ahead = masking["window_size"]
    distance = torch.arange(q.shape[1])[:, None] + k.shape[1] - q.shape[1] - torch.arange(k.shape[1])
    seen = (distance >= 0) & ((distance <= back) if back >= 0 else True)
    assert (ahead, dropout_p) == (0, 0.0)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=seen, scale=softmax_scale, enable_gqa=True
    )
    return out.transpose(1, 2)


@torch.no_grad()
def test_flash_gets_what_its_package_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, scale and alignment reach the package in its own terms; padded calls go to the twin."""
    calls: list[int] = []

    def count(*args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        return flash_double(*args, **kwargs)

    monkeypatch.setitem(sys.modules, "flash_attn", SimpleNamespace(flash_attn_func=count))
    monkeypatch.setattr(kernels, "flash_takes", lambda q: True)
    built, tokens = model(), ids()
    whole, parts = built(tokens).logits, chunked(built, tokens)
    built.attention = "flash"

    torch.testing.assert_close(built(tokens).logits, whole, rtol=0, atol=2e-5)
    assert len(calls) == 2
    torch.testing.assert_close(chunked(built, tokens), parts, rtol=0, atol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 0.06)])
@pytest.mark.parametrize("bias", ["false", "true"])
def test_prepared_equals_plain(dtype: torch.dtype, tolerance: float, bias: str) -> None:
    """Packing changes rounding at most, for one row, few rows and many, with biases or without."""
    built = model(SPEC.replace("head_dim: 8,", f"head_dim: 8, bias: {bias}, out_bias: {bias},"), dtype=dtype)
    inputs = [ids(1)[:1], ids(1), ids(17)]
    plain = [built(each).logits for each in inputs]
    assert built.prepare().head._product is not None

    for each, expected in zip(inputs, plain, strict=True):
        torch.testing.assert_close(built(each).logits, expected, rtol=0, atol=tolerance)


def test_prepared_form_is_left_whenever_parameters_may_change() -> None:
    """Training, moving, loading and copying drop it; calls that want gradients never use it."""
    built = model()
    group = built.layers[0].mixer.qkv

    def prepared(change: Any) -> bool:
        built.prepare()
        change()
        with torch.no_grad():
            return group.product(group.sources()) is not None

    assert prepared(lambda: built.eval())
    assert not prepared(lambda: built.train().eval())
    assert not prepared(lambda: built.to(torch.float32))
    assert not prepared(lambda: built.load_state_dict(built.state_dict()))
    assert not prepared(lambda: group.k.weight.detach().mul_(2))
    assert not prepared(
        lambda: setattr(group.k, "weight", torch.nn.Parameter(group.k.weight.detach().clone()))
    )
    assert not prepared(lambda: setattr(group, "k", copy.deepcopy(group.k)))
    built.prepare()
    assert group.product(group.sources()) is None  # gradients are enabled here
    assert copy.deepcopy(group)._product is None
    assert pickle.loads(pickle.dumps(group))._product is None
    built(ids()).logits.sum().backward()
    assert group.q.weight.grad is not None


@torch.no_grad()
def test_weights_over_a_ring_that_has_turned_keep_the_order_of_positions() -> None:
    """The newest key is the last column, cached or not, for alike rows and for ragged ones."""
    built, tokens = model(), ids()
    whole = built(tokens, output_attentions=True).attentions[1]  # the windowed layer
    mask = torch.ones(2, 13, dtype=torch.long)
    mask[1, 11:] = 0
    for prompt in (None, mask):
        cache, shown = built.new_cache(2, 20), tokens[:, :13]
        built(shown, attention_mask=prompt, past_key_values=cache)
        for at in (13, 14):
            out = built(tokens[:, at : at + 1], past_key_values=cache, output_attentions=True)
            expected = whole[0, :, at, at - 4 : at + 1]
            torch.testing.assert_close(out.attentions[1][0, :, 0, -5:], expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_changed_head_is_used_at_once() -> None:
    """Writing to the output matrix of a prepared model changes its logits."""
    built = model().prepare()
    assert built(ids()).logits.abs().max() > 0

    built.head.weight.zero_()

    assert built(ids()).logits.abs().max() == 0


def test_other_kernels_train() -> None:
    """Where a kernel has no gradients or does not take the tensors, its twin computes."""
    built = model(attention="flex")

    built(ids(), labels=ids()).loss.backward()

    assert built.layers[0].mixer.qkv.q.weight.grad.abs().sum() > 0
    assert not kernels.flash_takes(torch.zeros(1))


@torch.no_grad()
def test_a_weight_without_a_layout_is_kept_plain() -> None:
    """Half precision on this processor has no packed layout; the product is the same."""
    weight, x = torch.randn(6, 4, dtype=torch.float16), torch.randn(3, 4, dtype=torch.float16)

    assert not packs(weight)
    torch.testing.assert_close(pack(weight, None)(x), x @ weight.T, rtol=1e-2, atol=1e-2)


def test_names_of_kernels() -> None:
    """The kernels that documentation lists."""
    assert sorted(KERNELS) == ["flash", "flex", "reference", "sdpa"]


@torch.no_grad()
def test_softcap() -> None:
    """Capped scores, whole and cached: those of the recorded weights, and none of the plain ones."""
    capped = model(SPEC.replace("head_dim: 8,", "head_dim: 8, softcap: 0.6,"))
    tokens = ids()
    whole = capped(tokens).logits

    assert (whole - capped(tokens, output_attentions=True).logits).abs().max() < 1e-5 * whole.abs().max()
    assert (model()(tokens).logits - whole).abs().max() > 1e-3 * whole.abs().max()
    cache = capped.new_cache(2)
    parts = [capped(part, past_key_values=cache).logits for part in tokens.split([9, 7, 1], 1)]
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-5 * whole.abs().max()


@torch.no_grad()
def test_the_reference_is_one_under_a_softcap(monkeypatch: pytest.MonkeyPatch) -> None:
    """It computes every score; what is held to it is computed another way."""
    capped = model(SPEC.replace("head_dim: 8,", "head_dim: 8, softcap: 0.6,"))
    fast = capped(ids()).logits
    monkeypatch.delattr(sys.modules["composer.nn.attend"], "capped")
    capped.attention = "reference"

    assert (capped(ids()).logits - fast).abs().max() < 1e-5 * fast.abs().max()
