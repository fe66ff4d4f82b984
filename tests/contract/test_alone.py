"""A block by itself: what it returns and remembers, for comparing with a reference."""

from __future__ import annotations

import pytest
import torch

import composer
from composer import ComposerError, Site
from composer.testing import Alone, alone

SITE = Site(reads=10, writes=6)
MLP = composer.catalog()["mlp"].model_validate({"intermediate_size": 7, "hidden_act": "silu", "gated": True})
MAMBA = composer.catalog()["mamba2"].model_validate(
    {"num_heads": 2, "head_dim": 4, "state_size": 3, "dt_min": 0.01, "dt_max": 1.0}
)


def test_it_returns_what_the_block_returns() -> None:
    """No norm, no residual, the widths of the site; gradients reach the block and the input."""
    block, x = alone(MLP, SITE), torch.randn(2, 5, 10, requires_grad=True)
    gate, up, down = (tensor for name, tensor in block.block.named_parameters())
    expected = (torch.nn.functional.silu(x @ gate.mT) * (x @ up.mT)) @ down.mT
    out = block(x)

    assert (2, 5, 6) == out.shape
    assert torch.allclose(expected, out, atol=1e-5)
    out.sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is not None for parameter in block.block.parameters())


@torch.no_grad()
def test_it_remembers() -> None:
    """In pieces over a cache what one call gives, padded too; states are copies."""
    block, x = alone(MAMBA, SITE), torch.randn(2, 9, 10)
    whole, cache, at_once = block(x), block.new_cache(2), block.new_cache(2)
    parts = [block(part, cache) for part in x.split([4, 1, 4], 1)]
    block(torch.cat([x[:, :3], x], 1), at_once, attention_mask=(torch.arange(12) > 2).long().expand(2, -1))
    states = block.states(cache)

    assert torch.allclose(whole, torch.cat(parts, 1), atol=1e-5)
    assert states.keys() == block.bench.declared.slot.tensors.keys()
    assert all(torch.allclose(states[name], held, atol=1e-5) for name, held in block.states(at_once).items())
    block(x, cache)
    assert not torch.equal(states["ssm"], block.states(cache)["ssm"])


def test_weights_are_those_that_are_given() -> None:
    """Under the declared names; others are refused, and so is a site where the options cannot stand."""
    one, other = alone(MLP, SITE), alone(MLP, SITE, seed=1)
    same = alone(MLP, SITE, one.block.state_dict(), seed=1)
    x = torch.randn(1, 3, 10)

    assert isinstance(same, Alone)
    assert torch.equal(one(x), same(x))
    assert not torch.equal(one(x), other(x))
    with pytest.raises(RuntimeError, match="Missing key"):
        alone(MLP, SITE, {})
    attention = composer.catalog()["attention"].model_validate({"num_attention_heads": 4})
    with pytest.raises(ComposerError, match=r"cannot stand at.*\[E412\]"):
        alone(attention, Site(reads=10, writes=6))
