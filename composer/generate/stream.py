"""Text while it is generated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.errors import CallError, fail
from composer.generate.loop import new_tokens
from composer.generate.run import CausalLM, Run, prepare


def stream(
    model: CausalLM, tokenizer: Any, prompt: str | Sequence[int] | Tensor, **options: Any
) -> Iterator[str]:
    """Continue `prompt` (a text, or the token ids of one) and yield the new text piece by piece.

    A piece never ends inside a character, and is never empty. The decoded prompt and the pieces joined
    are the decoded whole, special tokens left out; a stop string stays in the text, as in the ids of
    `generate`. `options` are those of `GenerationOptions`. Everything is checked by the call itself, before
    the first piece is asked for; closing the iterator ends the generation. Raises `CallError`, `TextError`.
    """
    row = _row(tokenizer.encode(prompt) if isinstance(prompt, str) else prompt)
    mask = torch.ones_like(row) if isinstance(row, Tensor) else None
    return _pieces(prepare(model, row, mask, tokenizer, options), tokenizer)


def _row(ids: Any) -> Any:
    """Token ids as (1, length); what is none of that goes on as it is, to be refused by name."""
    if isinstance(ids, Tensor):
        ids = ids[None] if ids.dim() == 1 else ids
        if ids.dim() == 2 and len(ids) > 1:
            message = f"stream continues one text, found input_ids of {len(ids)} rows"
            fail(CallError, "E748", message, hint="generate continues several rows at once")
    elif isinstance(ids, Sequence) and all(type(i) is int for i in ids):
        return torch.tensor([list(ids)], dtype=torch.int64)
    return ids


def _pieces(run: Run, tokenizer: Any) -> Iterator[str]:
    decoder, told = _after(tokenizer, run.prompt.ids[0].tolist())
    for token in new_tokens(run):
        piece, told = _untold(decoder.put(int(token)), told)
        if piece:
            yield piece
    piece, _ = _untold(decoder.end(), told)
    if piece:
        yield piece


def _after(tokenizer: Any, ids: list[int]) -> tuple[Any, int]:
    """A decoder that has read `ids`, and how many characters of their text it has not given out yet.

    Where it waits inside a character, what will become of it is news.
    """
    decoder = tokenizer.stream()
    given = sum(len(decoder.put(i)) for i in ids)
    waiting = tokenizer.decode(ids)[given:]
    return decoder, 0 if "\ufffd" in waiting else len(waiting)


def _untold(text: str, told: int) -> tuple[str, int]:
    """`text` without its first `told` characters, and how many of them are still to come."""
    return text[told:], max(0, told - len(text))
