"""A vocabulary of another size: rows of the token table, and of the matrix behind it, added or taken away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from composer.errors import CallError, fail
from composer.plan import Plan
from composer.spec import Draw

from .draws import draw

if TYPE_CHECKING:
    from .model import Model


def resize(model: Model, rows: int, mean: bool) -> None:
    """Make the vocabulary of `model` `rows` tokens: those in front stay, new ones are drawn or the mean of all.

    Raises CallError E724 for a size that is none, or that leaves out a special token.
    """
    plan = model.plan
    check_rows(rows, [*special_tokens(plan), *(model.generation or {}).items()])
    model.state_dict()  # waits for a check of the numbers that still goes on
    init = plan.init
    how = None if mean else init["embedding"]
    model.embed.weight = resized(model.embed.weight, rows, how)
    model.embed.num_embeddings = rows
    if plan.head.kind == "causal-lm" and model.head is not None:
        for name, kind in (("weight", "linear"), ("bias", "bias")):
            old = getattr(model.head, name)
            if old is not None:
                setattr(model.head, name, resized(old, rows, None if mean else init[kind]))
    model.plan = with_vocabulary(plan, rows)


def rows_wanted(model: Model, rows: int | None, multiple: int | None) -> int:
    """`rows`, those there are where it is None, up to a whole multiple.  Raises CallError E724."""
    rows = model.plan.sizes.vocab_size if rows is None else rows
    if multiple is None:
        return rows
    for count in (rows, multiple):
        check_rows(count, ())
    return -(-rows // multiple) * multiple


def resized(old: Tensor, rows: int, how: Draw | None) -> nn.Parameter:
    """A parameter with `rows` rows: what there is of the old ones, then rows as `how` draws, or their mean."""
    kept = old.detach()[:rows]
    tensor = torch.empty(rows, *old.shape[1:], dtype=old.dtype, device=old.device)
    with torch.no_grad():
        tensor[: len(kept)] = kept
        if rows > len(old) and not old.is_meta:
            fresh = tensor[len(old) :]
            fresh.copy_(old.detach().mean(0, dtype=torch.float32)) if how is None else draw(fresh, how, None)
    return nn.Parameter(tensor, requires_grad=old.requires_grad)


def with_vocabulary(plan: Plan, rows: int) -> Plan:
    """The plan, and its spec, with a vocabulary of `rows` tokens; a noted number of parameters is none of its."""
    spec = plan.spec
    changed: dict[str, Any] = {"vocab_size": rows}
    if "parameters" in spec.metadata:
        changed["metadata"] = {key: value for key, value in spec.metadata.items() if key != "parameters"}
    sizes = replace(plan.sizes, vocab_size=rows)
    return replace(plan, sizes=sizes, spec=spec.model_copy(update=changed))


def special_tokens(plan: Plan) -> Iterator[tuple[str, Any]]:
    """The tokens that a plan or its spec knows by name."""
    yield from plan.spec.generation.items()
    yield "padding_token_id", plan.embedding.padding
    yield "pad_token_id", plan.head.pad_token_id


def check_rows(rows: int, special: Iterable[tuple[str, Any]]) -> None:
    """A number of rows that has every special token."""
    if type(rows) is not int or rows < 1:
        fail(CallError, "E724", f"a vocabulary has a whole number of tokens from 1, found {rows!r}")
    for name, value in special:
        for token in value if isinstance(value, list | tuple) else [value]:
            if name.endswith("_token_id") and type(token) is int and token >= rows:
                message = f"the token {token} ({name}) would not be in a vocabulary of {rows}"
                fail(CallError, "E724", message, hint="keep it, or change the special token first")
