"""Recurrent slots: the states of a block, and what it takes to bring them back to an earlier token.

With a rollback of n a slot also keeps an anchor, the states at an earlier token, and a log of what the block
has read since: up to 2n tokens, so that anchors move by n tokens at a time and a token costs far less than
being read twice.  Without a rollback nothing of the kind is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from composer.block import Slot

from .memory import Memory
from .progress import Progress
from .slots import blank, scatter_plan
from .step import Step

ANCHOR, LOG = "anchor.", "log.inputs"
"""Prefix and name that no tensor of a block has: theirs are without dots."""


class Live:
    """States that a block reads and writes: (B, *shape) float32 for each name, zero before the first token."""

    def __init__(self, states: Mapping[str, Tensor]) -> None:
        self.states = states

    def read(self) -> Mapping[str, Tensor]:
        """The tensors themselves; what is done to them in place is remembered."""
        return self.states

    def write(self, new: Mapping[str, Tensor]) -> None:
        """Keep what a block hands back; a tensor that was changed in place is already here."""
        for name, held in self.read().items():
            if new[name] is not held:
                held.copy_(new[name])


class States(Memory, Live):
    """The tensors of one `recurrent` slot."""

    def __init__(
        self,
        slot: Slot,
        progress: Progress,
        max_length: int | None,
        rollback: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.slot, self.progress, self.rollback = slot, progress, rollback
        self.room, self.dtype, self.device = slot.logged(max_length, rollback), dtype, device
        self.tensors = self.allocate(len(progress.lengths), 0)

    def read(self) -> dict[str, Tensor]:
        """The states as they are now."""
        return {name: self.tensors[name] for name in self.slot.tensors}

    @property
    def anchor(self) -> Live:
        """The states at each row's anchor."""
        return Live({name: self.tensors[ANCHOR + name] for name in self.slot.tensors})

    def parts(self) -> dict[str, int]:
        """States, and what a rollback needs."""
        sizes = {"state": 0, "anchor": 0, "log": 0} if self.rollback else {"state": 0}
        for name, tensor in self.tensors.items():
            sizes[name.split(".")[0] if "." in name else "state"] += tensor.numel() * tensor.element_size()
        return sizes

    def limit(self) -> str:
        """States do not know what they were."""
        return "keeps a recurrent state"

    def allocate(self, rows: int, longest: int) -> dict[str, Tensor]:
        """Zeros, which are the states before the first token."""
        with torch.inference_mode(False):  # a cache that is made in that mode may be used outside it
            made = zeros(self.slot, rows, self.device)
            if self.rollback:
                anchors = zeros(self.slot, rows, self.device)
                made |= {ANCHOR + name: tensor for name, tensor in anchors.items()}
                log = rows, self.room, self.slot.reads
                made[LOG] = torch.zeros(log, dtype=self.dtype, device=self.device)
        return made

    def used(self, longest: int) -> dict[str, Tensor]:
        """All of it."""
        return dict(self.tensors)

    def forget(self, rows: Sequence[int], kept: Sequence[int], held: Sequence[int]) -> None:
        """Back to the anchors, from where the next call goes on; inputs that are forgotten leave no trace."""
        if self.rollback:
            move(self, self.anchor, rows, len(self.progress.lengths))
            blank(self.tensors[LOG], 1, rows, kept, held)

    def log(self, step: Step, x: Tensor) -> None:
        """Note what the block reads, (B, T, reads), at `position % room`."""
        inputs, x = self.tensors[LOG], x[..., : self.slot.reads].detach().to(self.dtype)
        if step.start is not None:
            first = max(0, step.width - self.room)
            where = step.once(("slots", self.room), lambda: step.indices[0, first:] % self.room)
            inputs.index_copy_(1, where, x[:, first:])
            return
        rows, tokens, slots = step.once(("scatter", self.room), lambda: scatter_plan(step, self.room))
        inputs[rows, slots] = x[rows, tokens]

    def logged(self, step: Step, rows: list[int], width: int) -> Tensor:
        """(rows, width, reads): what these rows read from their anchors on."""
        index = step.once(("logged", *rows, width), lambda: self._places(step, rows, width))
        return self.tensors[LOG][index]

    def _places(self, step: Step, rows: list[int], width: int) -> tuple[Tensor, Tensor]:
        starts = step.tensor([self.progress.anchors[row] for row in rows])
        where = (starts[:, None] + torch.arange(width, device=self.device)) % self.room
        return step.tensor(rows)[:, None], where


def move(to: Live, source: Live, rows: Iterable[int], count: int) -> None:
    """Copy the states of some of `count` rows."""
    index, held = list(rows), to.read()
    for name, tensor in source.read().items():
        if len(index) == count:
            held[name].copy_(tensor)
        else:
            held[name][index] = tensor[index]


def zeros(slot: Slot, batch: int, device: torch.device) -> dict[str, Tensor]:
    """The state of rows that have seen nothing."""
    return {
        name: torch.zeros(batch, *shape, dtype=torch.float32, device=device)
        for name, shape in slot.tensors.items()
    }
