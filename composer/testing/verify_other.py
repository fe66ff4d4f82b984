"""The same logits from the transformers library, where it is installed and knows the architecture."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from composer.errors import ComposerError

from .bench import first_line
from .verify_rows import Row, counted, judged, unchecked
from .verify_sequence import FLOOR, Sequences, apart
from .verify_subject import Subject

CHECK, COMPARED = "equal logits", "with those of transformers"
CLASSES = {
    "base": "AutoModel",
    "causal-lm": "AutoModelForCausalLM",
    "token-classification": "AutoModelForTokenClassification",
    "sequence-classification": "AutoModelForSequenceClassification",
    "question-answering": "AutoModelForQuestionAnswering",
}
SINGLES = 16  # tokens that are fed one by one to see how far its cache leads away
DIVIDED = 1e-3  # where its own ways are further apart than this, they do not compute the same


def other_row(subject: Subject, folder: Path | None, why: str) -> Row:
    """Our logits with theirs, from a folder in the published form; `why` there is none otherwise."""
    reason = subject.missing or (why if folder is None else "")
    reason = reason or subject.short_of(subject.needs + subject.weight_bytes)
    if importlib.util.find_spec("transformers") is None:
        reason = "transformers is not installed"
    if reason or subject.model is None or folder is None:
        return unchecked(CHECK, COMPARED, reason)
    subject.progress(CHECK)
    with quiet() as library:
        return compared(subject, Sequences(subject, subject.model), Library(library, folder, subject))


@contextmanager
def quiet() -> Iterator[Any]:
    """The library without its warnings and progress bars."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = importlib.import_module("transformers")
        log = library.utils.logging
        level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
        log.set_verbosity_error()
        log.disable_progress_bar()
        try:
            yield library
        finally:
            log.set_verbosity(level)
            if bars:
                log.enable_progress_bar()


@dataclass(frozen=True)
class Library:
    """One folder as the library reads it."""

    library: Any
    folder: Path
    subject: Subject

    def knows(self) -> bool:
        """Whether it has the architecture that the folder's configuration names."""
        kind = self.library.PretrainedConfig.get_config_dict(self.folder)[0].get("model_type")
        return kind in self.library.CONFIG_MAPPING

    def model(self, attention: str) -> tuple[Any, list[str]]:
        """The model, and what it did not find or did not expect."""
        form = getattr(self.library, CLASSES[self.subject.plan.head.kind])
        how = {"dtype": self.subject.dtype, "local_files_only": True, "output_loading_info": True}
        model, info = form.from_pretrained(self.folder, attn_implementation=attention, **how)
        return model.eval(), [f"{kind}: {name}" for kind, names in info.items() for name in names]


def compared(subject: Subject, ours: Sequences, theirs: Library) -> Row:
    """The verdict; where the library's own ways disagree, the nearer of them counts."""
    version = theirs.library.__version__
    try:
        if not theirs.knows():
            return unchecked(CHECK, COMPARED, f"transformers {version} does not know this architecture")
        model, loose = theirs.model("eager")
    except Exception as error:  # whatever the library raises
        return unchecked(CHECK, COMPARED, f"transformers {version} cannot load it: {first_line(error)}")
    if loose:
        return counted(CHECK, f"tensors of the folder with those of transformers {version}", loose)
    expected = call(model, ours.text)
    stepped = tried(lambda: stepwise(model, ours.text)) if ours.whole is ours.model else None
    fused = tried(lambda: call(theirs.model("sdpa")[0], ours.text))
    ways = {"at once": expected} | ({} if stepped is None else {"one by one": stepped})
    return nearest(
        ours, ways, 0.0 if fused is None else apart(fused, expected), f"with transformers {version}"
    )


@torch.no_grad()
def nearest(ours: Sequences, ways: dict[str, Tensor], kernels: float, what: str) -> Row:
    """Our logits against each way of theirs."""
    found = {way: apart(scores(ours.whole(ours.text)), logits) for way, logits in ways.items()}
    expected = ways["at once"]
    spread = max(apart(logits, expected) for logits in ways.values())
    floor = max(FLOOR, 4 * torch.finfo(ours.subject.dtype).eps)
    told = f"logits of {ours.tokens:,} tokens {what}"
    if spread > max(DIVIDED, 10 * floor):
        way = min(found, key=lambda each: found[each])
        told += f", {way} (its own ways differ by {spread:.2g})"
        return judged(CHECK, told, found[way], max(floor, 3 * kernels))
    return judged(CHECK, told, found["at once"], max(floor, 3 * max(spread, kernels)))


@torch.no_grad()
def call(model: Any, ids: Tensor, **more: Any) -> Tensor:
    """What the model makes of a text without a cache."""
    return scores(model(ids, **{"use_cache": False, **more}))


@torch.no_grad()
def stepwise(model: Any, ids: Tensor) -> Tensor:
    """The same from its cache: most of the text at once, the rest token after token."""
    first = max(1, ids.shape[1] - SINGLES)
    parts, cache = [], None
    for part in (ids[:, :first], *ids[:, first:].split(1, 1)):
        out = model(part, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        parts.append(scores(out))
    return torch.cat(parts, 1)


def scores(out: Any) -> Tensor:
    """The result of a call by whatever head: logits, those of starts and ends, or the stream without a head."""
    found = [getattr(out, name, None) for name in ("logits", "start_logits", "end_logits")]
    named = [each for each in found if each is not None]
    return torch.cat(named, -1) if named else out.last_hidden_state


def tried(make: Callable[[], Tensor]) -> Tensor | None:
    """A tensor, or None where the library has no such way."""
    try:
        return make()
    except ComposerError:
        raise
    except Exception:  # whatever the library raises
        return None
