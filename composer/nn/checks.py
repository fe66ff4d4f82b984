"""What the arguments of a model call must be, each by itself.

B batch, T columns as the caller sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.errors import CacheError, CallError, fail

from .cache import HybridCache

if TYPE_CHECKING:
    from .model import Model

UNKNOWN_TOKEN = "token id {} is not in the vocabulary of {}"


def check_input(model: Model, ids: Tensor | None, embeds: Tensor | None) -> Tensor:
    """Exactly one of ids and embeddings, of the right shape, with ids that the vocabulary has."""
    if (ids is None) == (embeds is None):
        fail(CallError, "E705", "give either input_ids or inputs_embeds, and not both")
    given = ids if ids is not None else embeds
    assert given is not None
    sizes = model.plan.sizes
    shape = "(batch, tokens)" if ids is not None else f"(batch, tokens, {sizes.embedding_size})"
    if given.dim() != (2 if ids is not None else 3) or (
        embeds is not None and embeds.shape[2] != sizes.embedding_size
    ):
        fail(CallError, "E706", f"the input has shape {tuple(given.shape)}, expected {shape}")
    if 0 in given.shape[:2]:
        fail(
            CallError,
            "E712",
            f"the input of shape {tuple(given.shape)} holds no token",
            hint="begin with a start token",
        )
    if ids is not None:
        check_ids(ids, sizes.vocab_size, "input_ids", "is this the model's own tokenizer?")
    elif given.dtype != model.dtype:
        message = f"inputs_embeds are {given.dtype}, the model is {model.dtype}"
        fail(CallError, "E707", message, hint="inputs_embeds.to(model.dtype)")
    return given


def check_ids(ids: Tensor, count: int, name: str, hint: str, of: str = UNKNOWN_TOKEN) -> None:
    """Ids are whole numbers below `count`; on a device, and compiled, the look-up itself checks the range."""
    check_whole(ids, name)
    if ids.device.type != "cpu" or not ids.numel() or torch.compiler.is_compiling():
        return
    low, high = (int(bound) for bound in ids.aminmax())
    if low < 0 or high >= count:
        message = of.format(low if low < 0 else high, count)
        fail(CallError, "E707", f"{name}: {message}", hint=hint)


def check_mask(mask: Tensor, batch: int, width: int, cache: HybridCache | None) -> Tensor:
    """(B, T) bool over the new tokens, from a mask over them or over remembered and new ones."""
    if mask.dim() != 2 or mask.shape[0] != batch:
        fail(
            CallError,
            "E708",
            f"attention_mask has shape {tuple(mask.shape)}, expected (batch, tokens)",
            hint="masks of four dimensions are not taken; pack with segment_ids",
        )
    if not bool(((mask == 0) | (mask == 1)).all()):
        fail(
            CallError,
            "E708",
            "attention_mask holds values other than 0 and 1",
            hint="1 marks a real token, 0 padding",
        )
    mask = mask != 0
    if mask.shape[1] == width:
        return mask
    past = mask[:, :-width].sum(dim=1).tolist() if mask.shape[1] > width else None
    if cache is None or past != cache.lengths:
        remembered = f" after {cache.lengths} remembered ones" if cache else ""
        fail(
            CallError,
            "E708",
            f"attention_mask covers {mask.shape[1]} columns, the input has {width}{remembered}",
            hint="cover the new tokens, or remembered and new ones",
        )
    return mask[:, -width:]


def check_positions(positions: Tensor, batch: int, width: int) -> Tensor:
    """(B, T) position ids, from one row or one a row of the batch."""
    if positions.dim() != 2 or positions.shape[1] != width or positions.shape[0] not in (1, batch):
        fail(
            CallError, "E706", f"position_ids has shape {tuple(positions.shape)}, the input {(batch, width)}"
        )
    check_whole(positions, "position_ids")
    return widened(positions).expand(batch, width)


def check_whole(numbers: Tensor, name: str) -> None:
    """Whole numbers of any size."""
    if numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
        message = f"{name} are {numbers.dtype}, expected whole numbers"
        fail(CallError, "E707", message, hint=f"{name}.long()")


def check_keep(keep: int | Tensor, width: int) -> None:
    """A number of tokens, or a tensor of columns that the input has."""
    if isinstance(keep, Tensor):
        numbers = not (keep.is_floating_point() or keep.is_complex() or keep.dtype == torch.bool)
        right = keep.dim() == 1 and numbers
        if right and keep.device.type == "cpu" and keep.numel():
            right = -width <= int(keep.min()) and int(keep.max()) < width
    else:
        right = isinstance(keep, int) and keep >= 0
    if not right:
        message = f"logits_to_keep is {keep!r}, expected a number from 0 or a 1-D tensor of columns"
        fail(CallError, "E711", message, hint=f"the input has {width} columns")


def check_kinds(tensors: dict[str, Any]) -> None:
    """Tensors, and nothing that looks like one."""
    for name, each in tensors.items():
        if each is not None and not isinstance(each, Tensor):
            hint = f"torch.tensor({name})"
            fail(CallError, "E706", f"{name} is a {type(each).__name__}, expected a tensor", hint=hint)


def widened(ids: Tensor) -> Tensor:
    """Whole numbers of any size as int64; other tensors, and int32 ones, as they are."""
    if ids.dtype in (torch.int32, torch.int64, torch.bool):
        return ids
    return ids if ids.is_floating_point() or ids.is_complex() else ids.long()


def check_cache(model: Model, cache: Any) -> None:
    """A cache that this model, or an equal one of the same dtype and device, has made."""
    if not isinstance(cache, HybridCache):
        message = f"past_key_values is a {type(cache).__name__}, expected a cache of this library"
        fail(CacheError, "E808", message, hint="model.new_cache(batch_size)")
    if cache.plan is not model.plan:
        if cache.plan != model.plan:
            fail(
                CacheError, "E808", "the cache was made for another model", hint="model.new_cache(batch_size)"
            )
        cache.plan = model.plan  # equal: the next call need not compare them
    if (cache.dtype, cache.device) != (model.dtype, model.device):
        message = (
            f"the cache holds {cache.dtype} on {cache.device}, the model is {model.dtype} on {model.device}"
        )
        fail(CacheError, "E808", message, hint="make the cache after the model is where it shall run")
