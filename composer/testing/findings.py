"""What checks find: a sentence, the numbers at one place, and the case that was tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from composer.errors import PluginError

from .bench import Bench, first_line
from .cases import Case
from .tolerance import TOLERANCE

Trial = Callable[[Bench, Case], None]


class Broken(AssertionError):
    """What a check found: a sentence, and the numbers at one place."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Found(Broken):
    """What a check found in one case, and how to try another."""

    def __init__(self, cause: BaseException, trial: Trial, case: Case) -> None:
        super().__init__(said(cause))
        self.cause, self.trial, self.case = root(cause), trial, case


def hold(bench: Bench, trial: Trial, *cases: Case) -> None:
    """Fail a check in the first case that fails."""
    for case in cases:
        try:
            trial(bench, case)
        except (Exception, SystemExit) as error:  # a block may raise whatever it likes
            raise Found(error, trial, case) from error


def broken(message: str, detail: str = "") -> NoReturn:
    """Fail a check."""
    raise Broken(message, detail)


def expect(holds: object, message: str) -> None:
    """Fail a check unless something holds."""
    if not holds:
        broken(message)


def apart(actual: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest expected value; infinite where a number is missing."""
    difference = float((actual - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
    return difference if difference == difference else float("inf")


def expect_close(actual: Tensor, expected: Tensor, what: str, row: int = 0, token: int | None = 0) -> None:
    """Fail a check unless two results agree, relative to the largest value.

    They are (tokens, W) or (rows, tokens, W), and their first is `token` of `row` to whoever reads of it; any
    shape where `token` is None.
    """
    found, said = tuple(actual.shape), tuple(expected.shape)
    expect(found == said, f"{what}: shape {found}, not {said}")
    most = TOLERANCE[expected.dtype]
    difference = apart(actual, expected) if expected.numel() else 0.0
    if difference > most:
        detail = place(actual, expected, row, token)
        broken(f"{what} differs by {difference:.2g} of the largest value, {most:.2g} allowed", detail)


def place(actual: Tensor, expected: Tensor, row: int, token: int | None) -> str:
    """Where two results differ most, and what they are there."""
    flat = int((actual - expected).abs().nan_to_num(torch.inf).argmax())
    where = [int(index) for index in torch.unravel_index(torch.tensor(flat), expected.shape)]
    here = f"entry {where}"
    if token is not None:
        *rows, number, channel = where
        here = f"row {sum(rows) + row} token {number + token} channel {channel}"
    return f"{here} is {float(actual.flatten()[flat]):.4g}, not {float(expected.flatten()[flat]):.4g}"


def root(error: BaseException) -> BaseException:
    """What a block raised, without what the host says of it."""
    return error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error


def said(error: BaseException) -> str:
    """A finding in one line."""
    error = root(error)
    crashed = "" if isinstance(error, AssertionError) else f"it raised {type(error).__name__}: "
    return f"{crashed}{first_line(error)}"
