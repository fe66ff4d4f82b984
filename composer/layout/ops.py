"""What a stored tensor and one of ours may differ in beside the name: one operation, which can be undone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Shape = tuple[int, ...]
OpName = Literal["transpose", "squeeze", "unsqueeze", "unpair"]


@dataclass(frozen=True)
class Op:
    """From a stored tensor to ours.

    - `transpose`: the two dimensions change places (linear maps that are stored as (inputs, outputs)).
    - `squeeze`: dimension `number` of the stored tensor, of size 1, is not there in ours.
    - `unsqueeze`: dimension `number` of ours, of size 1, is not there in the stored tensor.
    - `unpair`: in each head of `number` rows the even rows come first, then the odd ones.  It turns query and
      key rows whose rotary partners are neighbours into rows whose partners are half a head apart.

    A `number` that is a string names the option of the parameter's block that holds it (`head_dim`).
    """

    name: OpName
    number: int | str = 0

    def sized(self, number: int) -> Op:
        """The same with its number known."""
        return replace(self, number=number)

    def stored_shape(self, shape: Shape) -> Shape:
        """The shape of the stored tensor where ours has `shape`."""
        at = int(self.number)
        match self.name:
            case "transpose":
                return shape[::-1]
            case "squeeze":
                return (*shape[:at], 1, *shape[at:])
            case "unsqueeze":
                return (*shape[:at], *shape[at + 1 :])
            case "unpair":
                return shape

    @property
    def rows(self) -> int:
        """The dimension of the stored tensor that becomes our first."""
        return 1 if self.name == "transpose" else 0

    @property
    def moves(self) -> bool:
        """Whether numbers change places, so that ours cannot lie in the stored tensor."""
        return self.name in ("transpose", "unpair")
