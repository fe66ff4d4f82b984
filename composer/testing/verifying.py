"""Verification of a whole model: what is counted is there, and every way to compute gives the same.

print(composer.testing.verify("pocket-mistral"))
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from composer.errors import UsageError, fail
from composer.nn.device import usable_dtype
from composer.plan import HeadKind, Plan
from composer.reading import read_spec
from composer.resolving import resolve
from composer.shipped import shipped_weights
from composer.spec import Spec

from .verify_counts import count_rows
from .verify_files import saved_row
from .verify_other import other_row
from .verify_rows import Row, Verification
from .verify_sequence import sequence_rows
from .verify_subject import CONFIG, SHORTEST, Subject, folder_plan, length, memory_limit


def verify(
    what: Plan | Spec | str | os.PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    tokens: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    head: HeadKind | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Verification:
    """Look at a model from all sides on the CPU: `print` the result, or read its `ok` and rows.

    `what` is a checkpoint folder, or the name of a shipped model; or a spec or a plan, whose weights are then
    drawn as it says.  `tokens` is the length of the text that is fed (by default past every window, where that
    is not too much), `limit` the bytes of memory that may be taken (by default most of what is free), `head` what
    sits on the stream (by default what the folder names, else "causal-lm"; a plan has its own).

    Nothing is made smaller to fit: what does not is "not checked", and so is what is not there.  A folder
    that cannot be loaded is a row that is wrong.  Raises what reading a spec raises, CallError E713, and
    UsageError E914 for a length that no text here has.
    """
    plan, folder = model_of(what, head)
    check_tokens(tokens, plan)
    bound = memory_limit() if limit is None else limit
    subject = Subject(
        plan, folder, usable_dtype(dtype), seed, tokens or length(plan), bound, progress=progress
    )
    subject.open()
    return Verification(plan.name, weights_of(subject), told(subject), tuple(rows(subject)))


def check_tokens(tokens: int | None, plan: Plan) -> None:
    """A length that can be fed.  Raises UsageError E914."""
    most = plan.sizes.max_position_embeddings
    if tokens is None or (type(tokens) is int and SHORTEST <= tokens <= (most or tokens)):
        return
    bound = f"at least {SHORTEST}" if most is None else f"from {SHORTEST} to {most:,}"
    fail(
        UsageError, "E914", f"a text of {tokens!r} tokens cannot be fed to {plan.name}", hint=f"give {bound}"
    )


def model_of(what: Plan | Spec | str | os.PathLike[str], head: HeadKind | None) -> tuple[Plan, Path | None]:
    """The plan, and the folder that its weights are in."""
    if isinstance(what, Plan):
        return what, None
    if not isinstance(what, Spec):
        folder = weights_folder(what)
        if folder is not None:
            return folder_plan(folder, head), folder
        what = read_spec(what if isinstance(what, str) else Path(what))
    return resolve(what, head=head or "causal-lm"), None


def weights_folder(what: str | os.PathLike[str]) -> Path | None:
    """The folder that is meant, if it is one: of the user, or of a shipped model with weights."""
    if os.path.isdir(what):
        return Path(what)
    return shipped_weights(what)


def rows(subject: Subject) -> Iterator[Row]:
    """Every row, in the order of the table."""
    yield from count_rows(subject)
    yield from sequence_rows(subject)
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        yield saved_row(subject, Path(scratch, "own"), "composer")
        published = Path(scratch, "published")
        saved = saved_row(subject, published, "hf")
        yield saved
        original = subject.folder is not None and (subject.folder / CONFIG).is_file()
        home = subject.folder if original else published if saved.verdict == "ok" else None
        yield other_row(subject, home, saved.why)


def weights_of(subject: Subject) -> str:
    """Where the weights come from, in words."""
    if subject.folder is not None:
        return f"the weights of {subject.folder}"
    return f"weights drawn as the spec says, with seed {subject.seed}"


def told(subject: Subject) -> dict[str, object]:
    """How it was computed."""
    dtype = str(subject.dtype).removeprefix("torch.")
    return {"dtype": dtype, "tokens": subject.tokens, "seed": subject.seed, "limit": subject.limit}
