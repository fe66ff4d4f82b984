"""What an expression is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ExpressionProblem(ValueError):
    """Why a text is no expression, or has no value; `start` and `width` count its characters."""

    def __init__(self, message: str, start: int, width: int = 1) -> None:
        super().__init__(message)
        self.message, self.start, self.width = message, start, width


@dataclass(frozen=True)
class Absent:
    """The value of something that is not there; it remembers what was asked for."""

    name: str


ABSENT = Absent("absent")


@dataclass(frozen=True)
class Node:
    """One operation over its parts; `start` and `end` are its place in the text."""

    what: str
    parts: tuple[Any, ...]
    start: int
    end: int
