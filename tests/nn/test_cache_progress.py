"""The arithmetic of anchors, without a tensor."""

from __future__ import annotations

import random

import pytest

from composer.nn.progress import Progress


@pytest.mark.parametrize("rollback", [1, 2, 3, 7])
def test_anchors_trail_by_what_can_be_forgotten(rollback: int) -> None:
    """Never past what a rollback may ask for, and never so far behind that the log overflows."""
    draw, rows = random.Random(rollback), 3
    progress, room = Progress.of(rows), 2 * rollback
    for _ in range(500):
        counts = [draw.choice([0, 1, 1, 1, 2, 5, 30]) for _ in range(rows)]
        advance = progress.advance(counts, rollback, room)
        for b in range(rows):
            moved = advance.anchors[b] - progress.anchors[b]
            inside = min(advance.anchors[b], progress.lengths[b]) - progress.anchors[b]
            assert advance.folded[b] == (0 if advance.lead[b] else moved)
            assert advance.lead[b] == moved - inside
        progress.commit(counts, advance.anchors)
        for b in range(rows):
            assert 0 <= progress.lengths[b] - progress.anchors[b] <= room
            assert progress.anchors[b] <= max(0, progress.reached[b] - rollback)
        progress.lengths = [
            draw.randint(max(0, most - rollback, length - 2), length)
            for length, most in zip(progress.lengths, progress.reached, strict=True)
        ]


def test_anchors_move_by_many_tokens_at_once() -> None:
    """One token at a time: every fourth call with a rollback of three."""
    progress, moves = Progress.of(1), []
    for _ in range(20):
        advance = progress.advance([1], 3, 6)
        moves.append(advance.folded[0])
        progress.commit([1], advance.anchors)

    assert [0] * 6 + [4, 0, 0, 0] * 3 + [4, 0] == moves


def test_rows_are_taken_and_joined_whole() -> None:
    """All four numbers of a row travel together, and what was taken is its own."""
    progress = made([3, 5], [4, 6], [1, 2], [False, True])
    taken = progress.taken([1, 1, 0])
    progress.clear(1)

    assert made([5, 5, 3], [6, 6, 4], [2, 2, 1], [True, True, False]) == taken
    assert made([3, 0], [4, 0], [1, 0], [False, False]) == progress
    assert made([3, 0, 3, 0], [4, 0, 4, 0], [1, 0, 1, 0], [False] * 4) == Progress.joined([progress] * 2)


def made(lengths: list[int], reached: list[int], anchors: list[int], behind: list[bool]) -> Progress:
    progress = Progress(0, [], reached, anchors, behind)
    progress.lengths = lengths
    return progress


def test_rows_that_are_fed_alike_stay_as_far_apart() -> None:
    """Their lengths are one number and differences that no call changes; empty ones have none."""
    progress = made([3, 5, 2], [3, 5, 2], [0, 0, 0], [False] * 3)
    progress.commit([4, 4, 4], [0, 0, 0])

    assert (7, [0, 2, -1], [7, 9, 6]) == (progress.first, progress.more, progress.lengths)
    assert [] == Progress.of(0).lengths
