"""What is asked of a plugin before its blocks are used: versions that fit, hooks that exist, blocks that are some."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..block import API, Block
from .problems import refused
from .sources import Source

HOST = "arch-composer"
RESERVED = frozenset({"extends", "branches", "reads", "out", "share", "adapters"})


def check_host(source: Source) -> None:
    """Refuse a distribution that asks for another version of the host than the one that runs."""
    asked = [
        text for text in source.requires if re.match(r"arch[-_.]composer\b(?![-_.])", text, re.IGNORECASE)
    ]
    if not asked:
        return
    try:
        running = version(HOST)
        unmet = next((found for text in asked if (found := missed(text, running)) is not None), None)
    except PackageNotFoundError:
        return  # a checkout that is not installed
    if unmet is not None:
        message = f"its version {source.version} asks for {HOST}{unmet}, and {running} is running"
        hint = f"install {HOST}{unmet}, or another version of {source.distribution}"
        raise refused(source, "E418", message, hint)


def missed(asked: str, running: str) -> str | None:
    """The versions that a requirement asks for, if the running one is not among them."""
    plain = re.fullmatch(r"[\w.-]+ *>= *(\d+(?:\.\d+)*)", asked)
    if plain and re.fullmatch(r"\d+(\.\d+)*", running) and release(running) >= release(plain[1]):
        return None  # what nearly all say; to import the library below takes longer than a plugin does
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(asked)
    except InvalidRequirement:
        return None  # it could not have been installed so
    applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
    return (
        str(wanted.specifier)
        if applies and not wanted.specifier.contains(running, prereleases=True)
        else None
    )


def release(text: str) -> tuple[int, ...]:
    """The numbers of a plain version."""
    return tuple(map(int, text.split(".")))


def check_block_class(source: Source, block: Any) -> None:
    """Refuse what is no block, or is a block for another interface."""
    if not (isinstance(block, type) and issubclass(block, Block)):
        message = f"it offers {block!r}, which is no subclass of composer.Block"
        raise refused(source, "E403", message, "return classes, not instances")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", str(getattr(block, "kind", ""))):
        message = f"its block {block.__name__} has no usable kind"
        raise refused(source, "E404", message, "set `kind: ClassVar[str]` to a name")
    if found := misfit(source, block):
        raise refused(source, "E405", *found)
    for name in RESERVED.intersection(block.model_fields):
        message = f"its block {block.kind!r} has an option {name!r}, which every entry of a spec has already"
        raise refused(source, "E408", message, "give the option another name")


def misfit(source: Source, block: type[Block]) -> tuple[str, str] | None:
    """The sentence and the hint for a block that is written for an interface that this host does not speak."""
    whose = source.distribution or source.name
    if not re.fullmatch(r"\d{1,4}\.\d{1,4}", str(block.api)):
        message = f"its block {block.kind!r} says that it is written for plugin interface {block.api!r}"
        return message, f'write "major.minor", as in api: ClassVar[str] = "{API}"'
    theirs, ours = numbers(block.api), numbers(API)
    if theirs[0] == ours[0] and theirs[1] <= ours[1]:
        return None
    newer, older = (HOST, whose) if theirs > ours else (whose, HOST)
    message = f"its block {block.kind!r} is written for plugin interface {block.api}, this host speaks {API}"
    return message, f"install a newer {newer}, or an older {older}"


def numbers(api: str) -> tuple[int, int]:
    """Major and minor version of an interface."""
    major, minor = str(api).split(".")
    return int(major), int(minor)
