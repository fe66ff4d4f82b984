"""`train`: from a plan and a folder of text to a checkpoint folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from composer.nn.build import build
from composer.nn.device import usable_device
from composer.plan import Plan
from composer.reading import read_spec
from composer.resolving import resolve
from composer.spec import Spec
from composer.store import save as save_checkpoint
from composer.store.save import published
from composer.text import load_tokenizer

from .corpus import Document, digest, find_documents, split
from .evaluate import bits_per_byte
from .folder import CHECKPOINT, LOSS, STATE, TOKENIZER, LossLog, open_folder, recorded, writing
from .loop import Loop
from .options import TrainOptions
from .prepare import choose_vocabulary, read_tokens, scratch, sha256
from .progress import Meter
from .schedule import make_optimizer
from .state import Progress, load_state, save_state
from .tokens import Batches, Tokens


@dataclass(frozen=True)
class TrainReport:
    """What a run came to."""

    checkpoint: Path
    steps: int
    tokens: int
    held_out_bits_per_byte: float | None  # None without held-out files


def train(
    what: Plan | Spec | str | Path,
    text: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    **options: Any,
) -> TrainReport:
    """Train the model that `what` describes on the text files under `text`; everything is written into `out`.

    `options` are the fields of `TrainOptions`. `out` is new or empty, or holds this very run and `resume` is
    true: it then goes on from its last save, with the options it was begun with, and ends with the bytes that
    an uninterrupted run ends with.
    """
    folder = Path(out)
    settings = TrainOptions(**{**(recorded(folder) if resume else {}), **options})
    usable_device(settings.device)
    plan = _plan(what)
    if settings.layout == "hf":
        published(plan, torch.float32)  # what cannot be saved is not worth training
    documents = find_documents(Path(text), settings.extensions)
    identity = _identity(plan, documents, settings)
    learning, held_out = split(documents, settings.held_out_percent)
    with writing(folder):
        open_folder(folder, identity, resume)
        backend = choose_vocabulary(folder / TOKENIZER, plan, learning, settings)
        with scratch(folder) as files:
            seen = read_tokens(learning, backend, folder, files / "train")
            unseen = read_tokens(held_out, backend, folder, files / "held-out")
            return _run(plan, folder, seen, unseen, settings)


def _run(plan: Plan, folder: Path, seen: Tokens, unseen: Tokens, settings: TrainOptions) -> TrainReport:
    batches = Batches(seen.ids, settings.batch_size, settings.context, settings.seed)
    model = build(plan, device=settings.device, dtype=torch.float32, seed=settings.seed)
    optimizer = make_optimizer(model, settings)
    torch.manual_seed(settings.seed)  # dropout; the weights are drawn by `build`
    state = folder / STATE
    progress = load_state(state, model, optimizer) if state.exists() else Progress()
    vocabulary = load_tokenizer(folder / TOKENIZER)
    bits: list[float] = []

    def save() -> None:
        save_state(state, model, optimizer, progress)
        save_checkpoint(model, folder / CHECKPOINT, layout=settings.layout, tokenizer=vocabulary)

    def evaluate() -> float | None:
        if not unseen.byte_count:
            return None
        bits.append(bits_per_byte(model, unseen, settings.context))
        return bits[-1]

    log, meter = LossLog(folder / LOSS, progress.step), Meter(settings.steps, progress.step)
    with meter:
        Loop(model, optimizer, batches, settings, progress, log, meter, save, evaluate).run()
    if not bits:  # a finished run was resumed
        evaluate()
        save()
    tokens = settings.steps * settings.tokens_per_step
    return TrainReport(folder / CHECKPOINT, settings.steps, tokens, bits[-1] if bits else None)


def _plan(what: Plan | Spec | str | Path) -> Plan:
    if isinstance(what, Plan):
        return what
    return resolve(read_spec(what) if isinstance(what, str | Path) else what)


def _identity(plan: Plan, documents: list[Document], settings: TrainOptions) -> dict[str, Any]:
    """What a run is: its options, and digests of what it reads."""
    given = settings.tokenizer and load_tokenizer(settings.tokenizer).sources.file
    return {
        **settings.model_dump(mode="json"),
        "vocabulary": sha256(given.read_bytes()) if given else None,
        "spec": sha256(json.dumps(plan.spec.model_dump(mode="json"), sort_keys=True).encode()),
        "text": digest(documents),
    }
