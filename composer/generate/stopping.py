"""When a row ends: an end token, or a stop string in its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from composer.errors import CallError, fail
from composer.generate.options import GenerationOptions
from composer.generate.prompt import Prompt
from composer.text.pieces import BYTE_TOKEN, spelt_bytes

Test = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Stop:
    """`ends` takes the newest tokens (rows,) and says which rows end there; `pad` () fills ended rows."""

    ends: Test
    pad: Tensor


def stop_rule(options: GenerationOptions, prompt: Prompt, tokenizer: Any, vocab_size: int) -> Stop | None:
    """What ends a row under `options`, or None where only its length does.

    Raises `CallError`: stop strings without a tokenizer, several rows and no token to fill ended ones with.
    """
    tests: list[Test] = []
    device = prompt.ids.device
    if options.stop_strings is not None:
        if tokenizer is None:
            message = "stop_strings are looked for in text, and no tokenizer was given"
            fail(CallError, "E745", message, hint="generate(..., tokenizer=tokenizer)")
        tests.append(StopStrings(options.stop_strings, tokenizer, prompt))
    if options.eos_token_id is not None:
        tests.append(_end_token(torch.tensor(options.eos_token_id, device=device)))
    if not tests:
        return None
    pad = torch.tensor(_fill(options, len(prompt.ids), vocab_size), device=device)
    return Stop(tests[0] if len(tests) == 1 else _either(*tests), pad)


def _end_token(ends: Tensor) -> Test:
    return lambda token: torch.isin(token, ends)


def _either(one: Test, other: Test) -> Test:
    return lambda token: one(token) | other(token)


def _fill(options: GenerationOptions, rows: int, vocab_size: int) -> int:
    """The pad token, else the first end token; a single row needs neither."""
    pad = options.pad_token_id
    if pad is None and options.eos_token_id:
        pad = options.eos_token_id[0]
    if rows == 1:
        return pad or 0
    if pad is None:
        message = "rows can end at different lengths, and there is no token to fill the shorter ones with"
        fail(CallError, "E746", message, path="pad_token_id", hint="set pad_token_id")
    if pad >= vocab_size:
        message = f"ended rows would be filled with {pad}, but this model's ids go from 0 to {vocab_size - 1}"
        fail(
            CallError,
            "E746",
            message,
            path="pad_token_id",
            hint="set pad_token_id to an id of the vocabulary",
        )
    return pad


class StopStrings:
    """Looks for stop strings in the text of every row, across the borders of tokens and inside characters.

    A row ends with the token that completes a stop string; the string stays in the output, with whatever
    else that token holds. As in transformers, the end of the prompt may be the string's beginning.
    """

    def __init__(self, strings: tuple[str, ...], tokenizer: Any, prompt: Prompt) -> None:
        self.strings = [string.encode() for string in strings]
        self.spelling = Spelling(tokenizer)
        self.keep = max(map(len, self.strings)) - 1
        padding = [0] * len(prompt.ids) if prompt.padding is None else prompt.padding.tolist()
        rows = [row[skip:][-self.keep :] for row, skip in zip(prompt.ids.tolist(), padding, strict=True)]
        self.tails = [b"".join(map(self.spelling.of, row)) for row in rows]

    def __call__(self, token: Tensor) -> Tensor:
        return torch.tensor([self._ends(row, i) for row, i in enumerate(token.tolist())], device=token.device)

    def _ends(self, row: int, token: int) -> bool:
        tail = self.tails[row][-self.keep :] if self.keep else b""
        text = self.tails[row] = tail + self.spelling.of(token)
        # A string that ended before this token does not count: it ended the row then, or was the prompt's.
        return any(text.rfind(string) + len(string) > len(tail) for string in self.strings if string in text)


class Spelling:
    """The bytes that a token adds to a text, whatever stands before it."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        # Something to stand before it: many tokenizers take a space off the very first token.
        self.before = tokenizer.encode("a", add_special_tokens=False)
        self.cut = len(tokenizer.decode(self.before, skip_special_tokens=False))
        self.known: dict[int, bytes] = {}

    def of(self, token: int) -> bytes:
        """Bytes of one token, unfinished characters included."""
        if token not in self.known:
            text = self.tokenizer.decode([*self.before, token], skip_special_tokens=False)[self.cut :]
            self.known[token] = self._raw(token) if "\ufffd" in text else text.encode()
        return self.known[token]

    def _raw(self, token: int) -> bytes:
        """Of a token that is no whole number of characters: its spelling says its bytes."""
        spelt = self.tokenizer.id_to_token(token)
        return bytes([int(spelt[3:5], 16)]) if BYTE_TOKEN.fullmatch(spelt) else spelt_bytes(spelt)
