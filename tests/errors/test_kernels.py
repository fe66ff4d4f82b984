"""Errors of attention kernels: their names, and libraries that are not there."""

from __future__ import annotations

import sys

import pytest
import torch

import composer
from composer.errors import CallError

SPEC = """
composer: 1
name: one
vocab_size: 9
hidden_size: 8
norm: {kind: rms, eps: 1.0e-5}
pattern: full
blocks: {full: {kind: attention, num_attention_heads: 2}}
"""


def test_an_unknown_kernel_is_refused_at_build_with_the_nearest_name() -> None:
    """Before anything is allocated."""
    plan = composer.resolve(composer.read_spec(SPEC))

    with pytest.raises(CallError) as caught:
        composer.build(plan, attention="sdpaa")

    assert caught.value.code == "E701"
    assert str(caught.value) == "no attention kernel is called 'sdpaa' [E701]\n   hint: did you mean 'sdpa'?"


def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """flash-attn is an extra."""
    monkeypatch.setitem(sys.modules, "flash_attn", None)
    model = composer.build(composer.resolve(composer.read_spec(SPEC)), attention="flash")

    with pytest.raises(CallError, match="the flash kernel needs the package flash-attn") as caught:
        model(torch.tensor([[1, 2]]))

    assert caught.value.code == "E714"
    assert "pip install 'arch-composer[flash]'" in caught.value.problems[0].hint


def test_an_integer_dtype_is_refused() -> None:
    """A model computes in floating point."""
    with pytest.raises(CallError, match="a model cannot be in torch.int64") as caught:
        composer.build(composer.resolve(composer.read_spec(SPEC)), dtype=torch.int64)

    assert caught.value.code == "E713"


def test_an_unknown_head_is_refused() -> None:
    """The heads that exist are named."""
    with pytest.raises(CallError, match="no head is called 'causal'") as caught:
        composer.resolve(composer.read_spec(SPEC), head="causal")  # type: ignore[arg-type]  # the mistake

    assert caught.value.code == "E702"
    assert caught.value.problems[0].hint == "did you mean 'causal-lm'?"
