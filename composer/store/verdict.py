"""A check of a model's numbers that goes on after loading; the model answers nothing before it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..errors import Problem, WeightsError


def none() -> list[Problem]:
    """What a finished check without problems says."""
    return []


class FirstUse:
    """A hook that waits for the verdict and raises it, at every use until the numbers are sound.

    Uses are a forward call and `state_dict`, which saving reads.  Copies and pickles of a model wait, too.
    """

    def __init__(self, check: Callable[[], list[Problem]]) -> None:
        self._check = check
        self._done = check is none

    def guard(self, model: nn.Module) -> None:
        """Let the model wait, if there is anything to wait for."""
        if not self._done:
            model.register_forward_pre_hook(self)
            model.register_state_dict_pre_hook(self)

    def __call__(self, *_: Any) -> None:
        if not self._done:
            problems = self._check()
            if problems:
                self._check = lambda: problems
                raise WeightsError(*problems)
            self._check, self._done = none, True

    def __reduce__(self) -> tuple[type[FirstUse], tuple[Callable[[], list[Problem]]]]:
        self()
        return FirstUse, (none,)
