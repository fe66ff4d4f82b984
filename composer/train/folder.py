"""The folder of a run: what lies where, and whether it may be written to.

run.json            all options, and digests of spec, vocabulary and text; a resumed run must share those that matter
tokenizer/          the vocabulary
loss.jsonl          one line every `log_every` steps
state.safetensors   weights, optimizer, random state and position of the last save
checkpoint/         the model of the last save, ready to load
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from composer.errors import UsageError, fail

from .options import MAY_CHANGE, TrainOptions

RUN, LOSS, STATE = "run.json", "loss.jsonl", "state.safetensors"
TOKENIZER, CHECKPOINT, SCRATCH = "tokenizer", "checkpoint", ".tokens"


def open_folder(folder: Path, identity: dict[str, Any], resume: bool) -> None:
    """Make `folder` the home of this run; a run of ours that never saved is begun again.

    E954 if it holds something else, E958 if it holds a run and `resume` is not asked for, E955 if that run
    had other options that matter, another spec or another text.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        found = _read_run(folder)
        if (folder / STATE).exists():
            return _check_same(folder, found, identity, resume)
        shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / RUN, (json.dumps(identity, indent=1) + "\n").encode())


def recorded(folder: Path) -> dict[str, Any]:
    """The options that the run in `folder` was begun with; E954 if something else is there."""
    if not os.path.lexists(folder / RUN):
        return {}
    return {key: value for key, value in _read_run(folder).items() if key in TrainOptions.model_fields}


def _check_same(folder: Path, found: dict[str, Any], identity: dict[str, Any], resume: bool) -> None:
    if not resume:
        fail(
            UsageError,
            "E958",
            f"{str(folder)!r} already holds a training run",
            hint="resume it, or give another folder",
        )
    keys = sorted({*found, *identity} - MAY_CHANGE)
    different = [key for key in keys if found.get(key) != identity.get(key)]
    changes = [f"{key} was {_short(found.get(key))}, now {_short(identity.get(key))}" for key in different]
    if "steps" in different:
        changes.append("a run cannot be made longer: its steps shape the learning rate from the first one on")
    if different:
        fail(
            UsageError,
            "E955",
            f"the run in {str(folder)!r} was started with another {', another '.join(different)}",
            hint="; ".join(changes),
        )


def _read_run(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict) and "steps" in found and "text" in found:
        return found
    fail(
        UsageError,
        "E954",
        f"{str(folder)!r} is not empty and holds no training run",
        hint="give a new or empty folder: nothing that is not ours is overwritten",
    )


def _short(value: object, most: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def replace_file(path: Path, content: bytes) -> None:
    """Write `path` so that a reader finds either the old bytes or the new ones, whatever happens."""
    with replacing(path) as fresh:
        fresh.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` once the block ends without an error."""
    fresh = path.with_name(f".{path.name}.new")
    yield fresh
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(fresh, path)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the system refuses while the block runs (no permission, a full disk) becomes E954."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fail(
            UsageError,
            "E954",
            f"{str(folder)!r} cannot be written to ({reason})",
            hint="make room, or give another folder; what was saved before is kept",
        )


def _step(line: str) -> float:
    """The step of a line of the log; a line that a crash cut short belongs to no kept step."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


class LossLog:
    """`loss.jsonl`: appended to while training, cut back to the saved step when a run is resumed."""

    def __init__(self, path: Path, step: int) -> None:
        lines = path.read_text(encoding="utf-8").splitlines() if step and path.exists() else []
        kept = [line for line in lines if _step(line) <= step]
        replace_file(path, "".join(f"{line}\n" for line in kept).encode())
        self._path = path

    def write(self, **facts: float) -> None:
        """Add one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")
