"""Layouts of checkpoints other than ours and that of the transformers library: which files they have."""

from __future__ import annotations

import re
from functools import cache

from pydantic import Field

from ..block import Frozen
from .patterns import numbers_in


class Files(Frozen):
    """The files of a layout, and how weights that were cut into several files are joined."""

    name: str = Field(min_length=1, description="What `layout=` calls it.")
    config: str = Field(min_length=1, description="The file with the configuration.")
    tensors: str = Field(min_length=1, description="The safetensors file with all weights.")
    index: str = Field(
        min_length=1, description="The index of several such files, of a model too large for one."
    )
    numbered: str | None = Field(
        default=None,
        min_length=1,
        description="Older files of weights: {number} has two digits and counts from 00.",
    )
    join: dict[str, int] = Field(
        default={},
        description="Tensors that are cut, each with the dimension along which; any other is alike in all files.",
    )

    def number(self, file: str) -> int | None:
        """Which of the numbered files has this name; None if none has."""
        found = _numbered(self.numbered).fullmatch(file) if self.numbered else None
        return int(found[1]) if found else None

    def numbered_file(self, number: int) -> str:
        """The name of a numbered file, in a layout that has them."""
        assert self.numbered is not None
        return self.numbered.replace("{number}", f"{number:02}")

    def dimension(self, tensor: str) -> int | None:
        """Along which dimension a tensor is cut; None if every file has all of it."""
        found = (dim for pattern, dim in self.join.items() if numbers_in(pattern, tensor) is not None)
        return next(found, None)

    def owns(self, file: str) -> bool:
        """Whether a file of this name is part of a checkpoint in this layout."""
        single = re.sub(r"-\d{5}-of-\d{5}(?=\.)", "", file)
        return single in (self.config, self.tensors, self.index) or self.number(file) is not None


@cache
def _numbered(name: str) -> re.Pattern[str]:
    before, after = name.split("{number}")
    return re.compile(re.escape(before) + r"([0-9]{2})" + re.escape(after))
