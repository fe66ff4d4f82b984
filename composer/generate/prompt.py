"""A prompt as generation uses it: checked, and padded on the left whatever padding it came with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from composer.errors import CallError, fail
from composer.generate.options import GenerationOptions


@dataclass(frozen=True)
class Prompt:
    """`given` (rows, length) is what the caller passed; `ids` the same rows, their padding moved to the left.

    `mask` (rows, length) is 1 on tokens of `ids` and None where no row is padded; `padding` (rows,) counts
    the leading columns of `ids` that are padding.
    """

    given: Tensor
    ids: Tensor
    mask: Tensor | None = None
    padding: Tensor | None = None


def read_prompt(
    ids: Any, mask: Any, options: GenerationOptions, vocab_size: int, device: torch.device
) -> Prompt:
    """Check token ids and mask (both (rows, length)), infer the mask where none is given, move padding left.

    Raises `CallError`: not a 2-D tensor of integers, empty, ids beyond the vocabulary, a mask of another
    shape, with other values than 0 and 1, with padding between tokens, or without a token in some row.
    """
    given = _read_ids(ids, options, vocab_size, device)
    tokens = _inferred_mask(given, options) if mask is None else _read_mask(mask, given)
    if tokens is None or bool(tokens.all()):
        return Prompt(given, given)
    _refuse_holes(tokens, inferred=mask is None)
    return _left_padded(given, tokens)


def _left_padded(ids: Tensor, tokens: Tensor) -> Prompt:
    """Each row turned round until its last token stands in the last column."""
    length = ids.shape[1]
    padding = length - tokens.sum(dim=1)
    shift = tokens.int().argmax(dim=1) - padding
    columns = torch.arange(length, device=ids.device)
    turned = ids.gather(1, (columns + shift[:, None]) % length)
    return Prompt(ids, turned, (columns >= padding[:, None]).long(), padding)


def _read_ids(ids: Any, options: GenerationOptions, vocab_size: int, device: torch.device) -> Tensor:
    if ids is None and options.bos_token_id is not None:
        ids = torch.tensor([[options.bos_token_id]])
    if not isinstance(ids, Tensor) or ids.dim() != 2 or ids.dtype not in (torch.int64, torch.int32):
        found = f"{ids.dtype} of shape {tuple(ids.shape)}" if isinstance(ids, Tensor) else type(ids).__name__
        message = f"input_ids should be an integer tensor (rows, length), found {found}"
        fail(CallError, "E750", message, hint="torch.tensor([[1, 2, 3]]) is one row of three tokens")
    if ids.numel() == 0:
        message = f"the prompt is empty: input_ids has the shape {tuple(ids.shape)}"
        fail(CallError, "E751", message, hint="a text can begin with the bos token alone")
    read: Tensor = ids.to(device=device, dtype=torch.int64)
    low, high = (int(bound) for bound in torch.aminmax(read))
    if low < 0 or high >= vocab_size:
        message = (
            f"input_ids holds {low if low < 0 else high}, but this model's ids go from 0 to {vocab_size - 1}"
        )
        fail(CallError, "E752", message, hint="is the tokenizer the one of this checkpoint?")
    return read


def _inferred_mask(ids: Tensor, options: GenerationOptions) -> Tensor | None:
    """As transformers infers it: pads are padding, unless the pad token also ends rows."""
    pad = options.pad_token_id
    return None if pad is None or pad in (options.eos_token_id or ()) else ids.ne(pad)


def _read_mask(mask: Any, ids: Tensor) -> Tensor:
    if not isinstance(mask, Tensor) or mask.shape != ids.shape:
        found = f"shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        message = (
            f"attention_mask should be a tensor of the shape of input_ids, {tuple(ids.shape)}, found {found}"
        )
        fail(CallError, "E753", message)
    if bool(((mask != 0) & (mask != 1)).any()):
        fail(CallError, "E753", "attention_mask should hold 1 on tokens and 0 on padding, found other values")
    tokens: Tensor = mask.to(ids.device).bool()
    return tokens


def _refuse_holes(tokens: Tensor, inferred: bool) -> None:
    """Every row holds one run of tokens, with padding on its sides only."""
    before = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, :-1]], dim=1)
    runs = (tokens & ~before).sum(dim=1)
    if bool((runs == 1).all()):
        return
    row = int((runs != 1).int().argmax())
    where = "nothing but padding" if int(runs[row]) == 0 else "padding between tokens"
    if inferred:
        message = f"going by the pad token, row {row} of input_ids has {where}"
        fail(CallError, "E754", message, hint="pass attention_mask: 1 on tokens, 0 on padding")
    message = f"row {row} of attention_mask has {where}"
    fail(CallError, "E754", message, hint="one run of tokens a row, padding on its left or right")
