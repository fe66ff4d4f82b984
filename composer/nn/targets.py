"""What a head learns from: labels and positions that fit it; and the column that a row is classified by.

B batch, T columns as the caller sees them, N classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.errors import CallError, fail
from composer.plan import HeadPlan, ProblemType

from .checks import UNKNOWN_TOKEN, check_ids, check_whole, widened
from .losses import problem_of

if TYPE_CHECKING:
    from .model import Model
    from .rows import Call, Given

UNKNOWN_CLASS = "{} is none of the {} classes"
ENDS = ("start_positions", "end_positions")
ONCE_A_ROW = ("sequence-classification", "question-answering")


def check_targets(model: Model, given: Given, batch: int, width: int) -> None:
    """What is to be learnt is what the head gives."""
    head, labels = model.plan.head, given.labels
    nothing = labels is given.start_positions is given.end_positions is given.num_items_in_batch is None
    if nothing and head.kind == "causal-lm":
        return  # the call of every decoding step
    check_asked(head, given)
    if given.start_positions is not None and given.end_positions is not None:
        for name in ENDS:
            check_ends(getattr(given, name), name, batch)
    if labels is None:
        return
    if head.kind == "sequence-classification":
        classes = head.width(0)
        check_classes(labels, model.problem_type or problem_of(labels, classes), batch, classes)
        return
    if labels.shape != (batch, width):
        fail(CallError, "E706", f"labels has shape {tuple(labels.shape)}, the input {(batch, width)}")
    if head.kind == "causal-lm":
        check_labels(labels, model.plan.sizes.vocab_size, UNKNOWN_TOKEN)
    else:
        check_labels(labels, head.width(0), UNKNOWN_CLASS)


def check_asked(head: HeadPlan, given: Given) -> None:
    """Nothing is asked for that the head has no answer to."""
    ends = [name for name in ENDS if getattr(given, name) is not None]
    targets = ["labels"] * (given.labels is not None) + ends
    if head.kind == "base" and targets:
        message, hint = f"{targets[0]} were given, but the model has no head", "resolve with head='causal-lm'"
    elif head.kind == "question-answering" and (given.labels is not None or len(ends) == 1):
        message, hint = "question-answering learns from start_positions and end_positions", "give both"
    elif head.kind != "question-answering" and ends:
        message, hint = f"the head {head.kind!r} has no use for {ends[0]}", "give labels"
    elif head.kind in ONCE_A_ROW and given.segment_ids is not None:
        message = f"{head.kind} answers once a row, and segment_ids pack several sequences into one"
        hint = "give every sequence a row"
    elif given.num_items_in_batch is not None and (head.kind != "causal-lm" or given.labels is None):
        message, hint = "num_items_in_batch divides the loss of next tokens", "leave it out"
    elif not _is_zero(given.logits_to_keep) and head.kind not in ("base", "causal-lm"):
        message, hint = f"the head {head.kind!r} answers about whole rows", "leave logits_to_keep at 0"
    elif not _is_zero(given.logits_to_keep) and targets:
        message, hint = "labels need the logits of every token", "leave logits_to_keep at 0"
    else:
        return
    fail(CallError, "E711", message, hint=hint)


def _is_zero(keep: int | Tensor) -> bool:
    return not isinstance(keep, Tensor) and keep == 0


def check_labels(labels: Tensor, count: int, of: str) -> None:
    """Whole numbers below `count`, or -100."""
    labels = widened(labels)
    counted = labels[labels != -100] if labels.device.type == "cpu" else labels[:0]
    check_ids(counted, count, "labels", "-100 marks what is not to count", of)


def check_classes(labels: Tensor, problem: ProblemType, batch: int, classes: int) -> None:
    """Labels of whole rows, as many as the loss compares."""
    single = problem == "single_label_classification"
    shapes = [(batch,), (batch, 1)] if single or classes == 1 else [(batch, classes)]
    if tuple(labels.shape) not in shapes:
        wanted = " or ".join(map(str, shapes))
        message = f"labels has shape {tuple(labels.shape)}, {problem} with {classes} classes needs {wanted}"
        fail(CallError, "E706", message, hint="problem_type says what the labels mean")
    if single:
        check_labels(labels, classes, UNKNOWN_CLASS)
    elif labels.is_complex():
        fail(CallError, "E707", f"labels are {labels.dtype}, expected real numbers")


def check_ends(positions: Tensor, name: str, batch: int) -> None:
    """A column for every row."""
    if tuple(positions.shape) not in [(batch,), (batch, 1)]:
        message = f"{name} has shape {tuple(positions.shape)}, expected {(batch,)}"
        fail(CallError, "E706", message)
    check_whole(positions, name)


def pooled_columns(head: HeadPlan, ids: Tensor | None, embeds: Tensor | None) -> Tensor | None:
    """(B,): the last column that holds no padding token, column 0 where all do; the last one for embeddings.

    None where nothing is pooled.  Raises CallError E723 for several rows without a padding token.
    """
    given = embeds if ids is None else ids
    if head.kind != "sequence-classification" or given is None:
        return None
    batch, width = given.shape[:2]
    if head.pad_token_id is None and batch != 1:
        message = f"where the {batch} rows end cannot be told: the model has no padding token"
        hint = "give pad_token_id= when the model is loaded or its spec resolved, or one row at a time"
        fail(CallError, "E723", message, hint=hint)
    columns = torch.arange(width, device=given.device)
    if head.pad_token_id is None or ids is None:
        return columns[-1:].expand(batch)
    return (columns * (ids != head.pad_token_id)).argmax(-1)


def check_padding(head: HeadPlan, given: Given, call: Call) -> None:
    """Nothing is read from padding.  Raises CallError E722."""
    ids = given.input_ids if given.input_ids is not None else given.inputs_embeds
    assert ids is not None, "checked before"
    real = call.real(ids.device) if head.kind not in ("base", "causal-lm") else None
    if real is None:
        return
    if call.pooled is not None:
        hint = "pooling goes by the padding token alone: let attention_mask be 0 exactly there"
        _refuse_padding("the row is read", call.pooled, real, hint)
    for name in ENDS:
        ends = getattr(given, name)
        if ends is not None:
            ends = ends.view(-1).to(ids.device).clamp_min(0)
            _refuse_padding(f"{name} points", ends, real, "count columns of the padded batch, from 0")
    if given.labels is not None and head.kind == "token-classification":
        wrong = (given.labels.to(ids.device) != -100) & ~real
        if bool(wrong.any()):
            row, column = wrong.nonzero()[0].tolist()
            hint = "-100 marks what is not to count"
            fail(CallError, "E722", f"row {row} has a label at column {column}, which is padding", hint=hint)


def _refuse_padding(what: str, columns: Tensor, real: Tensor, hint: str) -> None:
    """No row's column is padding; one past the last is nowhere."""
    inside = columns < real.shape[1]
    wrong = inside & ~real.gather(1, columns.clamp_max(real.shape[1] - 1)[:, None])[:, 0]
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        message = f"in row {row} {what} at column {int(columns[row])}, which is padding"
        fail(CallError, "E722", message, hint=hint)
