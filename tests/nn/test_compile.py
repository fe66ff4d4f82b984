"""Whole models under torch.compile: the same numbers, one graph a call, and no graph for every step of a text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import composer
from composer.nn.model import Model

HYBRID = """
composer: 1
name: tiny
vocab_size: 64
hidden_size: 16
norm: {kind: rms, eps: 1.0e-5}
pattern: (memory, near, far+shared-attn, near+shared-attn)
layers: 8
blocks:
  far: {kind: attention, num_attention_heads: 2, num_key_value_heads: 1, rope: {theta: 10000.0}}
  near: {extends: far, sliding_window: 4}
  memory: {kind: mamba2, num_heads: 2, head_dim: 8, state_size: 4}
  attn: {kind: attention, num_attention_heads: 2, num_key_value_heads: 1, rope: {theta: 10000.0}}
  mlp: {kind: mlp, intermediate_size: 24, hidden_act: silu, gated: true}
  shared-attn:
    share: {copies: 2}
    reads: [stream, embedding]
    out: linear
    adapters: {mlp.gate_up: {rank: 2}}
    branches: [{norm: rms, mix: attn, residual: 0.0}, {norm: rms, mix: mlp, residual: 0.0}]
init:
  conv: {distribution: uniform, spread: 0.5}
  dt_bias: {distribution: log_uniform_softplus, low: 0.001, high: 0.1, floor: 1.0e-4}
  A_log: {distribution: log_range}
  D: {distribution: constant, mean: 1.0}
"""


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with torch.no_grad():
        yield
    torch._dynamo.reset()


def graphs() -> int:
    """How many graphs there are by now."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def tiny(pattern: str, layers: int = 4) -> tuple[Model, Tensor]:
    plan = composer.resolve(composer.read_spec(HYBRID, set=[f"pattern={pattern}", f"layers={layers}"]))
    return composer.build(plan, seed=0), torch.randint(
        64, (2, 24), generator=torch.Generator().manual_seed(0)
    )


def stepped(model: Model, ids: Tensor, mask: Tensor | None, steps: int, whole: bool) -> list[int]:
    """How many graphs there are after each call: a prompt of 6 columns, then single tokens; results are compared."""
    compiled = torch.compile(model, fullgraph=whole, backend="eager")
    one, other, counts = model.new_cache(2, 24), model.new_cache(2, 24), []
    for start, end in [(0, 6), *((at, at + 1) for at in range(6, 6 + steps))]:
        given = mask if start == 0 else None
        expected = model(ids[:, start:end], attention_mask=given, past_key_values=one).logits
        actual = compiled(ids[:, start:end], attention_mask=given, past_key_values=other).logits
        counts.append(graphs())

        torch.testing.assert_close(actual, expected)
    return counts


def test_steps_of_a_hybrid_with_guests() -> None:
    """A text continued token by token, past its windows: one graph for the prompt, one for all steps, no break."""
    model, ids = tiny("(memory, near, far+shared-attn, near+shared-attn)")

    assert [1] + [2] * 10 == stepped(model, ids, None, 10, whole=True)


def test_steps_of_rows_of_unlike_lengths() -> None:
    """What differs from row to row is read outside a graph; the third step brings the last new one."""
    model, ids = tiny("far", layers=1)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6])
    counts = stepped(model, ids, mask, 8, whole=False)

    assert {counts[3]} == {*counts[3:]}


def test_texts_of_any_length() -> None:
    """Where no block has a state and no window is passed, two graphs serve all: torch learns that lengths differ."""
    model, ids = tiny("far+shared-attn", layers=2)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for length in (7, 9, 12, 15, 18, 24):
        expected = model(ids[:, :length]).logits
        actual = compiled(ids[:, :length]).logits

        torch.testing.assert_close(actual, expected)

    assert 2 == graphs()
