"""What is derived once a call: positions, and rotary angles that depend on the total length."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from composer.errors import CacheError
from composer.nn import Step

from .models import close, ids, model

DYNAMIC = {"type": "dynamic", "theta": 1e4, "factor": 4.0}
LONG = {
    "type": "longrope",
    "theta": 1e4,
    "original_max_position_embeddings": 16,
    "short_factor": [1.0, 1.5, 2.0],
    "long_factor": [2.0, 6.0, 9.0],
    "factor": 4.0,
}
# Each with the length beyond which its angles change; 64 is the small models' declared maximum.
SWITCHES = [(DYNAMIC, 64), (LONG, 16)]


def step(starts: tuple[int, ...], counts: tuple[int, ...], width: int = 4, **more: Any) -> Step:
    """A step over a stream of one channel."""
    return Step(torch.zeros(len(starts), width, 1), starts, counts, **more)


def test_rows_that_are_alike_share_their_positions() -> None:
    """One row of indices serves all, and no token is invalid."""
    alike = step((3, 3), (4, 4))

    assert [[3, 4, 5, 6]] == alike.indices.tolist()
    assert alike.valid is None
    assert 3 == alike.start


def test_rows_that_differ() -> None:
    """Each row counts from its own start; what is beyond its count is not real."""
    apart = step((0, 5), (4, 1))

    assert [[0, 1, 2, 3], [5, 6, 7, 8]] == apart.indices.tolist()
    assert [[True] * 4, [True, False, False, False]] == apart.valid.tolist()
    assert apart.start is None


def test_positions_restart_with_each_segment() -> None:
    """Whatever the numbers, a change begins a new sequence."""
    packed = step((0, 0), (4, 4), segments=torch.tensor([[4, 4, 9, 9], [1, 2, 2, 1]]))

    assert [[0, 1, 0, 1], [0, 0, 1, 0]] == packed.positions.tolist()


def test_where_sequences_begin() -> None:
    """At the start of a row or of a packed sequence, whatever the positions; nowhere in a call that continues."""
    begun, late = step((0, 0), (4, 4), position_ids=torch.ones(2, 4)), step((0, 5), (4, 1))
    packed = step((0, 0), (4, 4), segments=torch.tensor([[4, 4, 9, 9], [1, 2, 2, 1]]))

    assert [[True, False, False, False]] * 2 == begun.first.tolist()
    assert [[True, False, False, False], [False] * 4] == late.first.tolist()
    assert [[True, False, True, False], [True, True, False, True]] == packed.first.tolist()
    assert step((3, 5), (4, 1)).first is None


def test_made_once() -> None:
    """What layers share is computed at its first use."""
    calls: list[int] = []
    shared = step((0,), (4,))
    for _ in range(3):
        shared.once("key", lambda: calls.append(1))

    assert [1] == calls


@torch.no_grad()
@pytest.mark.parametrize(("rope", "switch"), SWITCHES)
def test_growing_past_the_switch_is_refused(rope: dict[str, Any], switch: int) -> None:
    """Up to the switch a growing cache is exact; one token further its keys would have other angles."""
    built = model([None], rope=rope)
    tokens = ids(1, switch + 1)
    cache = built.new_cache(1)
    parts = [built(part, past_key_values=cache).logits for part in tokens[:, :switch].split(7, 1)]

    assert close(torch.cat(parts, 1), built(tokens[:, :switch]).logits)
    with pytest.raises(CacheError, match=f"token {switch + 1} lies past {switch}"):
        built(tokens[:, switch:], past_key_values=cache)


@torch.no_grad()
@pytest.mark.parametrize(("rope", "switch"), SWITCHES)
def test_a_declared_length_decides_the_angles(rope: dict[str, Any], switch: int) -> None:
    """A cache for longer texts turns every token as the longer text does, from the first one on."""
    built = model([None], rope=rope)
    tokens = ids(1, switch + 9)
    cache = built.new_cache(1, max_length=switch + 9)
    parts = [built(part, past_key_values=cache).logits for part in tokens.split(5, 1)]

    assert close(torch.cat(parts, 1), built(tokens).logits)
    assert not close(parts[0], built(tokens[:, :5]).logits, 1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("rope", "switch"), SWITCHES)
def test_packed_rows_go_by_their_longest_sequence(rope: dict[str, Any], switch: int) -> None:
    """A row longer than the switch whose sequences are shorter is turned as short texts are."""
    built = model([None], rope=rope)
    tokens = ids(1, switch + 8)
    half = (switch + 8) // 2
    segments = (torch.arange(switch + 8) >= half).long()[None]
    expected = torch.cat([built(part).logits for part in tokens.split(half, 1)], 1)

    assert close(built(tokens, segment_ids=segments).logits, expected)


@torch.no_grad()
@pytest.mark.parametrize(("rope", "switch"), SWITCHES)
def test_padding_does_not_lengthen_a_text(rope: dict[str, Any], switch: int) -> None:
    """Columns beyond the switch that hold padding change no angle."""
    built = model([None], rope=rope)
    tokens, mask = ids(1, switch + 5), torch.ones(1, switch + 5)
    for side in (slice(0, 6), slice(-6, None)):
        mask[:] = 1
        mask[:, side] = 0
        logits = built(tokens, attention_mask=mask).logits[mask == 1]
        assert close(logits, built(tokens[mask == 1][None]).logits[0])
