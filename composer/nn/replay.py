"""Running a recurrent block so that its states can go back: anchors advance, forgotten tokens are undone.

All of it follows from one promise of the block: its states after some tokens are a function of the states
before them and of what it read.  So the host brings back a state by feeding the block its inputs again.

B rows, T tokens in this call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .progress import Advance
from .rows import spread
from .states import Live, States, move
from .step import Step

if TYPE_CHECKING:
    from .layer import At

Run = Callable[[Tensor, "At"], Tensor]
Counts = tuple[int, ...]


def run(block: Run, x: Tensor, at: At) -> Tensor:
    """`block(x, at)`, with its states first brought to where the rows stand and prepared to go back later."""
    slot = at.slot
    if not isinstance(slot, States) or not slot.rollback:
        return block(x, at)
    progress, step = slot.progress, at.step
    behind = [row for row, held in enumerate(progress.behind) if held]
    replay(block, at, slot, slot, behind, [progress.lengths[row] - progress.anchors[row] for row in behind])
    plan: Advance = step.once("advance", lambda: progress.advance(step.counts, slot.rollback, slot.room))
    folded = [row for row, count in enumerate(plan.folded) if count]
    replay(block, at, slot, slot.anchor, folded, [plan.folded[row] for row in folded])
    out = in_two(block, x, at, slot, plan.lead) if any(plan.lead) else block(x, at)
    slot.log(step, x)
    return out


def replay(block: Run, at: At, slot: States, states: Live, rows: list[int], counts: Sequence[int]) -> None:
    """Take the states of some rows, which stand at their anchors, `counts` tokens further by the log."""
    width = max(counts, default=0)
    if not width:
        return
    starts = tuple(slot.progress.anchors[row] for row in rows)
    inputs = slot.logged(at.step, rows, width)
    step = part_step(at.step, inputs, starts, tuple(counts))
    whole = len(rows) == len(slot.progress.lengths)
    some = states if whole else Live({name: tensor[rows] for name, tensor in states.read().items()})
    block(inputs, at.over(step, some))
    for name, tensor in some.read().items() if not whole else ():
        states.read()[name][rows] = tensor


def in_two(block: Run, x: Tensor, at: At, slot: States, lead: Counts) -> Tensor:
    """The first `lead[b]` tokens of each row, behind which the new anchor is, then the others."""
    step = at.step
    rest = tuple(count - first for count, first in zip(step.counts, lead, strict=True))
    parts = Part(step, (0,) * len(lead), lead), Part(step, lead, rest)
    outs = []
    for part in parts:
        piece = part.cut(x)
        short = part_step(step, piece, part.starts, part.counts, part)
        outs.append(block(piece, at.over(short, slot)))
        if part is parts[0]:
            move(slot.anchor, slot, [row for row, first in enumerate(lead) if first], len(lead))
    joined = torch.cat(outs, 1)
    if len(set(lead)) == 1 and joined.shape[1] == step.width:
        return joined
    column = torch.arange(step.width, device=x.device)
    first = step.tensor(lead)[:, None]
    index = torch.where(column < first, column, column - first + outs[0].shape[1])
    return spread(joined, index.clamp_max(joined.shape[1] - 1))


@dataclass(frozen=True)
class Part:
    """Tokens `skip[b]` to `skip[b] + counts[b]` of each row of a call."""

    step: Step
    skip: Counts
    counts: Counts

    @property
    def starts(self) -> Counts:
        """Tokens of each row that were seen before this part."""
        return tuple(start + skip for start, skip in zip(self.step.starts, self.skip, strict=True))

    def cut(self, x: Tensor) -> Tensor:
        """(B, longest, ...) of (B, T, ...), rows right-padded with whatever follows."""
        width = max(self.counts)
        if len(set(self.skip)) == 1:
            return x[:, self.skip[0] : self.skip[0] + width]
        index = self.step.tensor(self.skip)[:, None] + torch.arange(width, device=x.device)
        return spread(x, index.clamp_max(self.step.width - 1))


def part_step(step: Step, x: Tensor, starts: Counts, counts: Counts, part: Part | None = None) -> Step:
    """A step over part of a call, or over tokens of a log; the same one for all layers.

    Its stream is only there to say how many rows and tokens there are, of which dtype and where.
    """

    def make() -> Step:
        positions = step.position_ids if part else None
        return Step(
            x,
            starts,
            counts,
            position_ids=None if positions is None or part is None else part.cut(positions),
            max_length=step.max_length,
            cached=True,
            attention=step.attention,
        )

    made: Step = step.once(("part", starts, counts, x.shape[1], part is None), make)
    return made
