"""Where each value of a merged spec was written: an ordered list of documents, nearest first."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import Path, Place


class Written(Protocol):
    """Plain data that knows where each part of it was written."""

    @property
    def data(self) -> Any: ...

    def place(self, path: Path, key: bool = False) -> Place | None: ...

    def scalar_place(self, path: Path, start: int, width: int) -> Place | None: ...


@dataclass(frozen=True)
class Assigned:
    """Data from the command line: every part of it stands in the assignment."""

    data: Any
    where: Place

    def place(self, path: Path, key: bool = False) -> Place:
        """The assignment."""
        return self.where

    def scalar_place(self, path: Path, start: int, width: int) -> Place:
        """The assignment."""
        return self.where


class Origins:
    """Documents that were merged into one spec, the one that wins first.

    Two specs that say the same are equal wherever they were written, so all origins are equal.
    """

    def __init__(self, documents: Sequence[Written] = ()) -> None:
        self.documents = tuple(documents)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origins)

    def __hash__(self) -> int:
        return hash(Origins)

    def __deepcopy__(self, memo: dict[int, Any]) -> Origins:
        return self

    def document(self, path: Path) -> Written | None:
        """The document that wins at `path`, or at the nearest ancestor that any document has."""
        for end in range(len(path), -1, -1):
            for document in self.documents:
                if has(document.data, path[:end]):
                    return document
        return None

    def has(self, path: Path) -> bool:
        """Whether any document says something at `path`."""
        return any(has(document.data, path) for document in self.documents)

    def place(self, path: Path, key: bool = False) -> Place | None:
        """The place of the value (or of its key) at `path`."""
        document = self.document(path)
        return document.place(path, key=key) if document else None

    def scalar_place(self, path: Path, start: int, width: int) -> Place | None:
        """The place of `width` characters from `start` inside the text at `path`."""
        document = self.document(path)
        return document.scalar_place(path, start, width) if document else None


def has(data: Any, path: Path) -> bool:
    """Whether plain data has a value at `path`."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def merge(base: Any, over: Any) -> Any:
    """`over` laid on `base`: mappings merge key by key, anything else replaces; neither is changed."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return copy.deepcopy(over)
    return {**base, **{key: merge(base.get(key), value) for key, value in over.items()}}
