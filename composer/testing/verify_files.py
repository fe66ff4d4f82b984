"""What is saved is loaded again the same, in our own layout and in the published one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import torch

from composer.describe.units import amount
from composer.errors import ComposerError
from composer.nn import Model
from composer.store import load, save

from .bench import first_line
from .verify_rows import Row, counted, judged, unchecked
from .verify_sequence import Sequences, apart
from .verify_subject import Subject

Layout = Literal["composer", "hf"]
CHECKS: dict[Layout, str] = {"composer": "saved, own layout", "hf": "saved, published layout"}
UNSAYABLE = ("E524", "E532", "E536")  # no family, or one that has no words for this model
COMPARED = "every tensor and the logits with those after saving and loading"


def saved_row(subject: Subject, folder: Path, layout: Layout) -> Row:
    """Save the model into a new folder and load it from there."""
    check = CHECKS[layout]
    why = (
        subject.missing
        or subject.short_of(subject.needs + subject.weight_bytes)
        or full(subject, folder.parent)
    )
    if why or subject.model is None:
        return unchecked(check, COMPARED, why)
    subject.progress(check)
    try:
        save(subject.model, folder, layout=layout)
        one = Sequences(subject, subject.model)
        allowed = one.allowed  # before there is another copy in memory
        again = load(folder, spec=subject.plan if layout == "composer" else None, dtype=subject.dtype)
        return same(one, again, check, allowed)
    except ComposerError as error:
        first = error.problems[0]
        told = f"{first.path}: {first.message}" if first.path else first.message
        if first.code in UNSAYABLE:
            return unchecked(check, COMPARED, told)
        return Row(check, COMPARED, "WRONG", told)
    except Exception as error:  # whatever is wrong on the way is wrong here
        return Row(check, COMPARED, "WRONG", f"it raised {type(error).__name__}: {first_line(error)}")


def same(one: Sequences, again: Model, check: str, allowed: float) -> Row:
    """Every tensor to the bit, and the same logits."""
    before, after = dict(one.whole.named_parameters()), dict(again.named_parameters())
    names = dict.fromkeys([*before, *after])
    wrong = [name for name in names if name not in before or name not in after]
    wrong += [name for name in names if name not in wrong and not torch.equal(before[name], after[name])]
    if wrong:
        return counted(check, COMPARED, [f"{name} is another" for name in wrong])
    difference = apart(Sequences(one.subject, again).run(one.text), one.expected)
    return judged(check, COMPARED, difference, allowed, why="the tensors are the same, the logits are not")


def full(subject: Subject, scratch: Path) -> str:
    """Why there is no room for a copy on disk; empty where there is."""
    free, needed = shutil.disk_usage(scratch).free, subject.weight_bytes * 5 // 4
    return "" if needed <= free else f"needs {amount(needed, 'B')} of disk, {amount(free, 'B')} are free"
