"""Rows of a weight map as a family file writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self, cast

from pydantic import Field, model_validator

from ..block import Frozen
from .ops import Op, OpName
from .rows import Row, When


class WhenEntry(Frozen):
    """Where a row holds."""

    word: str | None = Field(default=None, description="Layers with this word of the pattern.")
    guest: str | None = Field(default=None, description="Layers with this guest.")
    head: str | None = Field(default=None, description="Models with this kind of head.")


class OpEntry(Frozen):
    """An operation with its number: that of a dimension, or the rows of a head."""

    squeeze: int | None = Field(default=None, ge=0, description="A stored dimension of size 1 to leave out.")
    unsqueeze: int | None = Field(default=None, ge=0, description="A dimension of size 1 to put in.")
    unpair: int | str | None = Field(
        default=None, description="Rows of a head, or the option that says them: even ones first, then odd."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("name one operation")
        return self

    def op(self) -> Op:
        """The operation."""
        ((name, number),) = self.model_dump(exclude_none=True).items()
        return Op(cast(OpName, name), number)


class RowEntry(Frozen):
    """The tensor of one parameter where a bare name does not say enough."""

    names: str | list[str] = Field(alias="from", description="Its names; those present must agree.")
    tied: str | None = Field(
        default=None, description="The parameter that stands in when the model has not this one of its own."
    )
    op: Literal["transpose"] | OpEntry | None = Field(
        default=None, description="What turns the stored tensor into ours."
    )
    split: list[str] = Field(
        default=[],
        description="What `{part}` in our name stands for: the tensor holds these, one behind the other.",
    )
    each: list[str] = Field(
        default=[], description="What `{part}` in both names stands for where every part has its own tensor."
    )
    when: WhenEntry = Field(default=WhenEntry(), description="Where the row holds.")

    @model_validator(mode="after")
    def _parts(self) -> Self:
        if self.split and self.each:
            raise ValueError("parts that have tensors of their own cannot lie in one: give 'split' or 'each'")
        return self

    def rows(self, ours: str) -> Iterator[Row]:
        """One row for each part."""
        names = [self.names] if isinstance(self.names, str) else self.names
        op = Op("transpose") if self.op == "transpose" else self.op.op() if self.op else None
        when = When(**self.when.model_dump())
        split = tuple(ours.replace("{part}", part) for part in self.split)
        for part in self.each or self.split or [""]:
            theirs = tuple(name.replace("{part}", part) for name in names)
            yield Row(ours.replace("{part}", part), theirs, self.tied, op, split, when)


Entry = str | RowEntry | list[RowEntry]
"""A name alone, a row, or several of which the first that holds is taken."""


def check_parts(weights: dict[str, Entry]) -> dict[str, Entry]:
    """The same rows.  Raises ValueError where parts are listed and the key has no place for them, or none are."""
    for ours, entry in weights.items():
        rows = [] if isinstance(entry, str) else entry if isinstance(entry, list) else [entry]
        listed = [bool(row.split or row.each) for row in rows] or [False]
        if not all(each == ("{part}" in ours) for each in listed):
            raise ValueError(
                f"{ours!r}: '{{part}}' in our name and 'split' or 'each' in its rows go together"
            )
    return weights


def rows_of(ours: str, entry: Entry) -> Iterator[Row]:
    """The rows of one key of `weights`."""
    if isinstance(entry, str):
        yield Row(ours, (entry,))
    else:
        for each in entry if isinstance(entry, list) else [entry]:
            yield from each.rows(ours)
