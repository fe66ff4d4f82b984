"""The files of a published tokenizer: found, read within limits, and copied byte for byte."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from composer.errors import Place, Problem, TextError, did_you_mean, fail
from composer.shipped import checkpoint_folder

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIAL = "special_tokens_map.json"
ADDED = "added_tokens.json"
RANKS = re.compile(r"tekken\.json")
PIECES = re.compile(r"tokenizer\.model(\.v(\d+)(m\d+)?)?")
VOCABULARIES = ("tokenizer.model", "tekken.json", "spiece.model", "vocab.json", "merges.txt")
GENERATION = "generation_config.json"
MODEL_CONFIG = "config.json"
# Not read here, but part of the tokenizer: chat templates and the vocabularies that tokenizer.json came from.
COMPANIONS = ("chat_template.jinja", "chat_template.json", *VOCABULARIES)
TEMPLATES = "additional_chat_templates"
FILES = (TOKENIZER, CONFIG, SPECIAL, ADDED, *COMPANIONS)

MOST_TOKENIZER = 256 << 20  # bytes; the largest published ones are a tenth of this
MOST_CONFIG = 16 << 20


def find(path: str | os.PathLike[str]) -> Path:
    """The tokenizer.json of a folder or a shipped model, its original vocabulary where it has none, or a file.

    TextError E601 says what is there instead.
    """
    place = checkpoint_folder(path)
    try:
        if place.is_dir():
            return in_folder(place)
        if place.is_file():
            return place
        there = place.exists()
    except (OSError, ValueError) as error:
        fail(TextError, "E601", f"{str(path)!r} cannot be looked at: {error}", found=str(path))
    if there:
        fail(TextError, "E601", f"{str(path)!r} is neither a folder nor a regular file", found=str(path))
    siblings = [s.name for s in place.parent.iterdir()] if place.parent.is_dir() else []
    hint = did_you_mean(place.name, siblings) or "give a checkpoint folder or a tokenizer.json"
    fail(TextError, "E601", f"there is no folder or file {str(path)!r}", found=str(path), hint=hint)


def in_folder(folder: Path) -> Path:
    """The tokenizer.json of `folder`, or the vocabulary that it can be made of."""
    file = folder / TOKENIZER
    if file.is_file():
        return file
    if not file.is_symlink() and (originals := originals_in(folder)):
        return originals[-1]
    other = next((name for name in VOCABULARIES if (folder / name).is_file()), None)
    hint = f"a checkpoint folder of the Hugging Face layout has a {TOKENIZER}"
    if file.is_symlink():
        hint = f"{TOKENIZER} is a symbolic link to a file that is not there; fetch the checkpoint again"
    elif other:
        hint = f"only {TOKENIZER} is read, not {other}; AutoTokenizer's save_pretrained writes one from it"
    fail(TextError, "E601", f"there is no {TOKENIZER} in {str(folder)!r}", found=str(folder), hint=hint)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has the files of a tokenizer, be it one that cannot be read."""
    return bool(originals_in(folder)) or any((folder / name).exists() for name in (TOKENIZER, *VOCABULARIES))


def is_original(file: Path) -> bool:
    """Whether a file has the name of a vocabulary that a tokenizer.json is made of."""
    return bool(RANKS.fullmatch(file.name) or PIECES.fullmatch(file.name))


def originals_in(folder: Path) -> list[Path]:
    """Such vocabularies of a folder, the one to read last: ranks, before it pieces, by their version."""
    return sorted((file for file in folder.iterdir() if is_original(file) and file.is_file()), key=_order)


def _order(file: Path) -> tuple[bool, int, str]:
    version = PIECES.fullmatch(file.name)
    return version is None, int(version[2] or 0) if version else 0, file.name


def read_bytes(file: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes, links followed; TextError E605 otherwise."""
    try:
        if not file.is_file():
            fail(TextError, "E605", f"{str(file)!r} is not a regular file", found=str(file))
        with file.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        fail(TextError, "E605", f"{str(file)!r} cannot be read: {error.strerror or error}", found=str(file))
    if len(content) > most:
        hint = "this is not a tokenizer; the largest published ones are a tenth of that"
        fail(TextError, "E605", f"{str(file)!r} is larger than {most >> 20} MiB", found=str(file), hint=hint)
    return content


def text_of(content: bytes, file: Path, code: str) -> str:
    """UTF-8 text, a byte order mark allowed."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} is not UTF-8 ({error.reason})"
        raise TextError(Problem(code, message, Place(str(file), line, 1))) from None


def read_config(folder: Path | None, name: str) -> dict[str, Any]:
    """A JSON file beside the tokenizer, {} where there is none; TextError E603 when it is no JSON mapping."""
    if folder is None:
        return {}
    file = folder / name
    if not (file.exists() or file.is_symlink()):
        return {}
    text = text_of(read_bytes(file, MOST_CONFIG), file, "E603")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        fail(TextError, "E603", f"not JSON: {error.msg}", place=at(file, text, error.lineno, error.colno))
    except (RecursionError, ValueError) as error:
        fail(TextError, "E603", f"not JSON that can be read: {error}", place=Place(str(file), 1, 1))
    if not isinstance(data, dict):
        message = f"a mapping was expected, not {type(data).__name__}"
        fail(TextError, "E603", message, place=at(file, text, 1, 1))
    return data


def at(file: Path, text: str, line: int, column: int) -> Place:
    """A place with its line, cut to 80 characters before the place: some files are one line of megabytes."""
    lines = text.split("\n", line)
    shown = lines[line - 1] if line <= len(lines) else ""
    return Place(str(file), line, column, text=shown if len(shown) <= 200 else "")


def place_in(message: str, file: Path, text: str) -> tuple[str, Place]:
    """Message and place of a reader's error that ends in `at line 1 column 2`."""
    found = re.search(r" at line (\d+) column (\d+)$", message)
    if not found:
        return message, Place(str(file), 1, 1)
    return message[: found.start()], at(file, text, int(found[1]), max(1, int(found[2])))
