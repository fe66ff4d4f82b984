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
    are the decoded whole, special tokens left out (bytes that are no text never reach back into the
    prompt); a stop string stays in the text, as in the ids of `generate`. `options` are those of
    `GenerationOptions`. Everything is checked by the call itself, before the first piece is asked for;
    closing the iterator ends the generation. Raises `CallError`, `TextError`.
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
    """A decoder that goes on behind `ids`, and how many characters it will give out first that are no news.

    A letter stands in for the prompt, so that a space before the first new word stays. An unfinished
    character at the prompt's end is read again: what becomes of it is news.
    """
    decoder = tokenizer.stream()
    letter = tokenizer.encode("a", add_special_tokens=False)
    alone = tokenizer.decode(letter)
    if tokenizer.decode([*ids, *letter]) == alone:
        return decoder, 0  # the prompt has no text of its own: the new text is the beginning
    told = len(alone)
    for token in [*letter, *_unfinished(tokenizer, ids)]:
        told -= len(decoder.put(token))
    return decoder, told


def _unfinished(tokenizer: Any, ids: list[int]) -> list[int]:
    """The last few ids, if they are a character of which bytes are missing."""
    tails = (n for n in range(4) if not tokenizer.decode(ids[: len(ids) - n]).endswith("\ufffd"))
    cut = next(tails, 0)
    return ids[len(ids) - cut :]


def _untold(text: str, told: int) -> tuple[str, int]:
    """`text` without its first `told` characters, and how many of them are still to come."""
    return text[told:], max(0, told - len(text))
