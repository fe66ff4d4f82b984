"""Each plausible mistake in a Mamba2 block is far outside the tolerance of the parity tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from composer.nn import convolution, ragged
from composer_mamba2 import functions, scan

from .mamba2 import Case, Pair, relative

CASE = Case(4, groups=2, heads=4, dt_min=0.2, dt_max=1.5, eps=1e-2, conv_bias=True, bias=True, tokens=130)
LENGTHS = [130, 70]

OPTIONS: dict[str, dict[str, Any]] = {
    "no lower bound": {"dt_min": None},
    "lower bound + 10 %": {"dt_min": 0.22},
    "no upper bound": {"dt_max": None},
    "eps x 2": {"norm_eps": 2e-2},
    "other activation": {"hidden_act": "gelu"},
}


def norm_first(y: Tensor, gate: Tensor, weight: Tensor, groups: int, eps: float) -> Tensor:
    """The gate after the norm."""
    plain = torch.full_like(gate, 1.27846454)  # the SiLU of it is 1
    return RIGHT["functions.gated_norm"](y, plain, weight, groups, eps) * F.silu(gate)


def one_group(y: Tensor, gate: Tensor, weight: Tensor, groups: int, eps: float) -> Tensor:
    """A norm over all channels."""
    return RIGHT["functions.gated_norm"](y, gate, weight, 1, eps)


def early(full: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    """A convolution that looks one token further back and not at the own."""
    return RIGHT["convolution.taps"](full, weight.roll(-1, 1), *rest)


def backwards(full: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    """The taps of the convolution turned round."""
    return RIGHT["convolution.taps"](full, weight.flip(1), *rest)


def padded_tail(full: Tensor, size: int, counts: Tensor | None) -> Tensor:
    """The last inputs of the convolution whether real or not."""
    return RIGHT["convolution.newest"](full, size, None)


def interleaved(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, *rest: Any) -> Any:
    """Heads that take turns between the groups, instead of neighbours that share one."""
    return RIGHT["scan.scan"](x, dt, A, B.flip(2), C.flip(2), *rest)


def moving_pads(x: Tensor, dt: Tensor, *rest: Any) -> Any:
    """Pads that take a step like any token."""
    return RIGHT["scan.scan"](x, torch.where(dt == 0, 0.5, dt), *rest)


def no_skip(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *rest: Any) -> Any:
    """Without what goes past the states."""
    return RIGHT["scan.scan"](x, dt, A, B, C, D * 0, *rest)


def skip_discretised(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *rest: Any) -> Any:
    """What goes past the states scaled by the step like what goes in."""
    y, state = RIGHT["scan.scan"](x, dt, A, B, C, D * 0, *rest)
    return y + D[:, None] * x * dt[..., None], state


RIGHT: dict[str, Callable[..., Any]] = {
    "functions.gated_norm": functions.gated_norm,
    "convolution.taps": convolution.taps,
    "convolution.newest": convolution.newest,
    "scan.scan": scan.scan,
}
WRONG: list[tuple[str, Callable[..., Any]]] = [
    ("functions.gated_norm", norm_first),
    ("functions.gated_norm", one_group),
    ("convolution.taps", early),
    ("convolution.taps", backwards),
    ("scan.scan", interleaved),
    ("scan.scan", no_skip),
    ("scan.scan", skip_discretised),
]


@pytest.fixture(autouse=True)
def _together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of different lengths are not run in parts, so that the block sees pads."""
    monkeypatch.setitem(ragged.OVERHEAD, "cpu", 10**9)


def test_the_case_is_right_before_anything_is_wrong() -> None:
    """Otherwise the rest would prove nothing."""
    pair = Pair(CASE)
    assert error(pair) <= pair.tolerance()
    assert continued(pair) <= pair.tolerance()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_wrong_options_are_caught(options: dict[str, Any]) -> None:
    """Another option, the same weights."""
    pair = Pair(CASE, **options)
    assert error(pair) > 3 * pair.tolerance()


@pytest.mark.parametrize(("name", "wrong"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_wrong_mathematics_is_caught(
    name: str, wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another function, the same options."""
    pair = Pair(CASE)
    module, _, function = name.partition(".")
    monkeypatch.setattr(
        {"convolution": convolution, "functions": functions, "scan": scan}[module], function, wrong
    )
    assert error(pair) > 3 * pair.tolerance()


def test_pads_that_move_the_state_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of pads that are not zero, or a convolution that remembers pads."""
    pair = Pair(CASE)
    with monkeypatch.context() as patch:
        patch.setattr(convolution, "newest", padded_tail)
        assert continued(pair) > 3 * pair.tolerance()
    monkeypatch.setattr(scan, "scan", moving_pads)
    assert continued(pair) > 3 * pair.tolerance()


def test_sequences_that_see_each_other_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed rows whose convolution or states look across."""
    pair = Pair(CASE)
    segments = (torch.arange(CASE.tokens) >= 66).long().repeat(2, 1)
    expected = pair.expected(pair.x[:, 66:].double())
    assert (
        relative(pair.bench.run(pair.ours, pair.x, segment_ids=segments)[:, 66:], expected)
        <= pair.tolerance()
    )
    with monkeypatch.context() as patch:
        patch.setattr(convolution, "taps", lambda *given: RIGHT["convolution.taps"](*given[:3], None))
        out = pair.bench.run(pair.ours, pair.x, segment_ids=segments)[:, 66:]
        assert relative(out, expected) > 3 * pair.tolerance()
    monkeypatch.setattr(scan, "scan", lambda *given: RIGHT["scan.scan"](*given[:7]))
    out = pair.bench.run(pair.ours, pair.x, segment_ids=segments)[:, 66:]
    assert relative(out, expected) > 3 * pair.tolerance()


def error(pair: Pair) -> float:
    """How far the whole row is from theirs."""
    return relative(pair.bench.run(pair.ours, pair.x), pair.expected(pair.x.double()))


def continued(pair: Pair) -> float:
    """How far what follows a padded row is from theirs."""
    cache = pair.ours.new_cache(2)
    mask = torch.arange(LENGTHS[0]) < torch.tensor(LENGTHS)[:, None]
    pair.bench.run(pair.ours, pair.x, attention_mask=mask.long(), past_key_values=cache)
    out = pair.bench.run(pair.ours, pair.x[:, 70:75], past_key_values=cache)[1]
    return relative(out, pair.expected(pair.x[1:, :75].double())[0, 70:])
