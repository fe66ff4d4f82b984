"""Rotary position embedding in plain torch.

A head of D channels is D/2 pairs: channel i turns together with channel i + D/2, by an angle of
position times `inverse_frequencies[i]`.

B batch, T tokens now, H heads, D channels of a head, R of them rotated, P pairs (R/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from composer.options import Rope


def inverse_frequencies(
    rope: Rope,
    head_dim: int,
    *,
    max_positions: int | None = None,
    length: int | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, float]:
    """Radians per position of each pair, (P,) in float32, and the factor on cosines and sines.

    `length` is how many tokens the whole text may have: types `dynamic` and `longrope` stretch longer texts
    more; None means no longer than trained.  `max_positions` is the model's `max_position_embeddings`, for
    types that need it.
    """
    exponents = torch.arange(0, rope.rotary_width(head_dim), 2, dtype=torch.float32, device=device)
    exponents = exponents / rope.rotary_width(head_dim)
    return _RULES[rope.type](rope, exponents, max_positions, length), _table_factor(rope, max_positions)


def tables(
    rope: Rope,
    head_dim: int,
    positions: Tensor,
    *,
    dtype: torch.dtype,
    max_positions: int | None = None,
    length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Cosines and sines for `positions` (B or 1, T), both (B or 1, T, 1, R): ready for `rotate`.

    Computed in float32 and then cast to `dtype`.  The first half of the sines is negated, which is the sign
    of the rotation of a pair's first channel.
    """
    frequencies, factor = inverse_frequencies(
        rope, head_dim, max_positions=max_positions, length=length, device=positions.device
    )
    angles = positions[..., None, None].float() * frequencies
    cos, sin = angles.cos(), angles.sin()
    if factor != 1.0:
        cos, sin = cos * factor, sin * factor
    return torch.cat((cos, cos), -1).to(dtype), torch.cat((-sin, sin), -1).to(dtype)


def rotate(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Queries (B, T, H, D) and keys (B, T, G, D) turned by the tables; channels beyond R pass unchanged."""
    return _turn(q, cos, sin), _turn(k, cos, sin)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    width = cos.shape[-1]
    if width < x.shape[-1]:
        return torch.cat((_turn(x[..., :width], cos, sin), x[..., width:]), -1)
    # A roll by half the width swaps the channels of every pair in one pass.
    return (x * cos).add_(x.roll(width // 2, -1).mul_(sin))


# Each rule maps (rope, exponents, max_positions, length) to frequencies. The order of operations is that of
# the published implementations, so that float32 results agree to the last bit.


def _default(rope: Rope, exponents: Tensor, max_positions: int | None, length: int | None) -> Tensor:
    return 1.0 / (rope.theta**exponents)


def _linear(rope: Rope, exponents: Tensor, max_positions: int | None, length: int | None) -> Tensor:
    return _default(rope, exponents, max_positions, length) / _given(rope.factor)


def _dynamic(rope: Rope, exponents: Tensor, max_positions: int | None, length: int | None) -> Tensor:
    """The base grows with the text, so that the slowest pair just spans it."""
    factor, trained, width = _given(rope.factor), _given(max_positions), 2 * len(exponents)
    # Beyond the trained length the ratio is a float32 number, within it a double.
    reached = torch.tensor(length, device=exponents.device) if length and length > trained else trained
    stretch = (factor * reached / trained) - (factor - 1)
    return 1.0 / ((rope.theta * stretch ** (width / (width - 2))) ** exponents)


def _yarn(rope: Rope, exponents: Tensor, max_positions: int | None, length: int | None) -> Tensor:
    """Fast pairs stay, slow pairs are stretched, those between are blended linearly."""
    factor, pairs = _given(rope.factor), len(exponents)
    low, high = (_pair_that_turns(rope, turns, 2 * pairs) for turns in (rope.beta_fast, rope.beta_slow))
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, 2 * pairs - 1)
    width = high - low if high != low else high + 0.001 - low
    ramp = ((torch.arange(pairs, dtype=torch.float32, device=exponents.device) - low) / width).clamp(0, 1)
    wavelengths = rope.theta**exponents
    kept = 1 - ramp
    return 1.0 / (factor * wavelengths) * (1 - kept) + 1.0 / wavelengths * kept


def _pair_that_turns(rope: Rope, turns: float | None, width: int) -> float:
    """The (fractional) pair that makes `turns` full turns over the trained context."""
    trained = _given(rope.original_max_position_embeddings)
    return (width * math.log(trained / (_given(turns) * 2 * math.pi))) / (2 * math.log(rope.theta))


def _longrope(rope: Rope, exponents: Tensor, max_positions: int | None, length: int | None) -> Tensor:
    """Every pair has a divisor of its own: one set for short texts, one for long ones."""
    is_long = (length or 0) > _given(rope.original_max_position_embeddings)
    divisors = torch.tensor(rope.long_factor if is_long else rope.short_factor, device=exponents.device)
    return 1.0 / (divisors * rope.theta**exponents)


def _banded(rope: Rope, exponents: Tensor, max_positions: int | None, length: int | None) -> Tensor:
    """As yarn, but the bounds are wavelengths and the blend is linear in the frequency."""
    factor, low, high = _given(rope.factor), _given(rope.low_freq_factor), _given(rope.high_freq_factor)
    trained = _given(rope.original_max_position_embeddings)
    frequencies = _default(rope, exponents, max_positions, length)
    wavelengths = 2 * math.pi / frequencies
    stretched = torch.where(wavelengths > trained / low, frequencies / factor, frequencies)
    share = (trained / wavelengths - low) / (high - low)
    blended = (1 - share) * stretched / factor + share * stretched
    between = (wavelengths >= trained / high) & (wavelengths <= trained / low)
    return torch.where(between, blended, stretched)


def _proportional(rope: Rope, exponents: Tensor, max_positions: int | None, length: int | None) -> Tensor:
    """The frequencies of the whole head, of which only the first share turns."""
    turning = int(rope.partial_rotary_factor * (2 * len(exponents)) // 2)
    frequencies = _default(rope, exponents, max_positions, length)
    frequencies[turning:] = 0
    return frequencies / _given(rope.factor)


_RULES: dict[str, Callable[[Rope, Tensor, int | None, int | None], Tensor]] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "yarn": _yarn,
    "longrope": _longrope,
    "llama3": _banded,
    "proportional": _proportional,
}


def _table_factor(rope: Rope, max_positions: int | None) -> float:
    """What cosines and sines are multiplied by: as given, else as the papers of the types advise."""
    if rope.attention_factor is not None:
        return rope.attention_factor
    if rope.type == "yarn":
        return _yarn_factor(rope)
    if rope.type == "longrope":
        return _longrope_factor(rope, max_positions)
    return 1.0


def _yarn_factor(rope: Rope) -> float:
    def grown(weight: float) -> float:
        factor = _given(rope.factor)
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    if rope.mscale is not None and rope.mscale_all_dim is not None:
        return grown(rope.mscale) / grown(rope.mscale_all_dim)
    return grown(1)


def _longrope_factor(rope: Rope, max_positions: int | None) -> float:
    trained = _given(rope.original_max_position_embeddings)
    factor = rope.factor if rope.factor is not None else _given(max_positions) / trained
    return 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(trained))


def _given(value: float | None) -> float:
    """A number that the checks of `Rope` and of the block that holds it have made sure of."""
    assert value is not None
    return value
