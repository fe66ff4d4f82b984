"""Changing one string of a YAML text in place: every other character, comments included, stays."""

from __future__ import annotations

import re
from collections.abc import Iterator

from composer.errors import Path, SpecError, dotted, fail
from composer.source.document import Document, Node
from composer.source.reader import read_document

_BLOCK = re.compile(r"([|>][^\r\n]*(?:\r\n|\r|\n)\s*?)([ ]*)(\S.*?)(\s*)", re.DOTALL)


def with_scalar(document: Document, path: Path, value: str) -> str:
    """The text of `document` with the string at `path` replaced by `value`, which is one line.

    Its quoting stays where `value` can be written so, else it becomes single-quoted. Line ends stay too, so
    write the text with `newline=""`. Raises SpecError if there is no string at `path`.
    """
    node = document.node(path)
    if node is not None and isinstance(node.value, str):
        text = document.lines.text
        lead = document.text[: len(document.text) - len(text)]
        for written in _ways(node, text[node.start : node.end], value):
            changed = f"{lead}{text[: node.start]}{written}{text[node.end :]}"
            if _reads_as(changed, path, value):
                return changed
    fail(SpecError, "E117", "no string can be changed here", place=document.place(path), path=dotted(path))


def _ways(node: Node, source: str, value: str) -> Iterator[str]:
    """How the value could be written, best first."""
    block = _BLOCK.fullmatch(source)
    if node.style in ("|", ">") and block:
        yield block[1] + block[2] + value + block[4]
    elif node.style == '"' and "\\" not in value:
        yield f'"{value}"'
    elif not node.style:
        yield value
    quoted = value.replace("'", "''")
    yield f"'{quoted}'"


def _reads_as(text: str, path: Path, value: str) -> bool:
    try:
        node = read_document(text, "").node(path)
    except SpecError:
        return False
    return node is not None and isinstance(node.value, str) and node.value.strip() == value
