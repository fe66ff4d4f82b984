"""The border of a model call: arguments checked, any padding brought to the right, results brought back.

B batch, T columns as the caller sees them.  Inside, the real tokens of a row come first, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.errors import CacheError, CallError, did_you_mean, fail

from .cache import HybridCache

if TYPE_CHECKING:
    from .model import Model

TAKEN = (
    "input_ids", "attention_mask", "position_ids", "inputs_embeds", "past_key_values", "labels", "segment_ids",
    "use_cache", "logits_to_keep", "output_hidden_states", "output_attentions",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """The arguments of one call with every row's real tokens in front; `order[b, i]` is where token i stood."""

    ids: Tensor | None
    embeds: Tensor | None
    counts: tuple[int, ...]
    positions: Tensor | None = None
    segments: Tensor | None = None
    order: Tensor | None = None

    @property
    def batch(self) -> int:
        """Rows."""
        return len(self.counts)

    def restore(self, x: Tensor) -> Tensor:
        """(B, T, ...) back in the caller's columns."""
        if self.order is None:
            return x
        return spread(x, self.order.argsort(dim=1))

    def restore_map(self, weights: Tensor, continued: bool) -> Tensor:
        """(B, H, T, S) attention weights back in the caller's rows and, unless a cache is continued, columns."""
        if self.order is None:
            return weights
        back = self.order.argsort(dim=1)
        weights = weights.gather(2, back[:, None, :, None].expand_as(weights))
        return weights if continued else weights.gather(3, back[:, None, None, :].expand_as(weights))

    def keep(self, x: Tensor, wanted: int | Tensor) -> Tensor:
        """(B, kept, D): the last `wanted` real tokens of each row, all columns for 0, or the columns named."""
        if isinstance(wanted, Tensor):
            return self.restore(x)[:, wanted]
        if wanted == 0:
            return self.restore(x)
        wanted = min(wanted, x.shape[1])
        if all(count == x.shape[1] for count in self.counts):
            return x[:, -wanted:]
        last = (
            torch.tensor(self.counts, device=x.device)[:, None]
            - wanted
            + torch.arange(wanted, device=x.device)
        )
        return torch.where(last[..., None] < 0, 0, spread(x, last.clamp_min(0)))


def spread(x: Tensor, index: Tensor) -> Tensor:
    """`x[b, index[b, i]]` for x (B, T, ...) and index (B, I)."""
    rows = torch.arange(x.shape[0], device=x.device)[:, None]
    return x[rows, index]


def read_call(
    model: Model,
    ids: Tensor | None,
    mask: Tensor | None,
    positions: Tensor | None,
    embeds: Tensor | None,
    cache: HybridCache | None,
    labels: Tensor | None,
    segments: Tensor | None,
    use_cache: bool,
    keep: int | Tensor,
    refused: dict[str, Any],
) -> Call:
    """Check the arguments of a call against each other and put real tokens first."""
    for name in refused:
        fail(
            CallError,
            "E704",
            f"a model call takes no argument {name!r}",
            hint=did_you_mean(name, TAKEN) or f"it takes {', '.join(TAKEN)}",
        )
    tensors = {
        "input_ids": ids, "attention_mask": mask, "position_ids": positions, "inputs_embeds": embeds,
        "labels": labels, "segment_ids": segments,
    }  # fmt: skip
    check_kinds(tensors)
    ids, labels = widened(ids), widened(labels)
    given = check_input(model, ids, embeds)
    batch, width = given.shape[:2]
    if cache is not None:
        check_cache(model, cache)
    if segments is not None and (cache is not None or use_cache):
        fail(
            CallError,
            "E710",
            "segment_ids pack whole sequences, and a cache continues one",
            hint="call without past_key_values and use_cache",
        )
    for name, each in (("segment_ids", segments), ("labels", labels)):
        if each is not None and each.shape != (batch, width):
            fail(CallError, "E706", f"{name} has shape {tuple(each.shape)}, the input {(batch, width)}")
    if positions is not None:
        positions = check_positions(positions, batch, width)
    check_keep(keep, width)
    check_labels(model, labels, keep)
    counts = (width,) * batch
    if mask is None:
        return Call(ids, embeds, counts, positions, segments)
    mask = check_mask(mask, batch, width, cache)
    return arrange(Call(ids, embeds, counts, positions, segments), mask)


def arrange(call: Call, mask: Tensor) -> Call:
    """Real tokens first in each row; (B, T) bool `mask` says which are real."""
    counts = tuple(mask.sum(dim=1).tolist())
    if all(count == mask.shape[1] for count in counts):
        return call
    column = torch.arange(mask.shape[1], device=mask.device)
    first, last = mask.int().argmax(dim=1), mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1)
    whole = (last - first + 1 == mask.sum(dim=1)) | ~mask.any(dim=1)
    if call.positions is None and not bool(whole.all()):
        fail(
            CallError,
            "E709",
            "attention_mask has a hole between real tokens",
            hint="give position_ids to say where the tokens stand",
        )
    order = (~mask).int().argsort(dim=1, stable=True)
    if bool((order == column).all()):
        return Call(call.ids, call.embeds, counts, call.positions, call.segments)
    moved = [
        None if t is None else spread(t, order)
        for t in (call.ids, call.embeds, call.positions, call.segments)
    ]
    return Call(moved[0], moved[1], counts, moved[2], moved[3], order)


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


def check_ids(ids: Tensor, vocab: int, name: str, hint: str) -> None:
    """Ids are whole numbers that the vocabulary has; on a device the look-up itself checks the range."""
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        fail(CallError, "E707", f"{name} are {ids.dtype}, expected whole numbers", hint=f"{name}.long()")
    if ids.device.type != "cpu" or not ids.numel():
        return
    low, high = (int(bound) for bound in ids.aminmax())
    if low < 0 or high >= vocab:
        wrong = low if low < 0 else high
        message = f"{name}: token id {wrong} is not in the vocabulary of {vocab}"
        fail(CallError, "E707", message, hint=hint)


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
    return positions.expand(batch, width)


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


def check_labels(model: Model, labels: Tensor | None, keep: int | Tensor) -> None:
    """Labels are tokens, and want all logits and a head that makes them."""
    if labels is None:
        return
    if model.head is None:
        fail(
            CallError,
            "E711",
            "labels were given, but the model has no head",
            hint="resolve with head='causal-lm'",
        )
    if isinstance(keep, Tensor) or keep != 0:
        fail(CallError, "E711", "labels need the logits of every token", hint="leave logits_to_keep at 0")
    counted = labels[labels != -100] if labels.device.type == "cpu" else labels[:0]
    check_ids(counted, model.plan.sizes.vocab_size, "labels", "-100 marks what is not to count")


def check_kinds(tensors: dict[str, Any]) -> None:
    """Tensors, and nothing that looks like one."""
    for name, each in tensors.items():
        if each is not None and not isinstance(each, Tensor):
            hint = f"torch.tensor({name})"
            fail(CallError, "E706", f"{name} is a {type(each).__name__}, expected a tensor", hint=hint)


def widened(ids: Tensor | None) -> Tensor | None:
    """Whole numbers of any size as int64; other tensors, and int32 ones, as they are."""
    if ids is None or ids.dtype in (torch.int32, torch.int64, torch.bool):
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
