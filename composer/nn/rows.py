"""The border of a model call: arguments checked, any padding brought to the right, results brought back.

B batch, T columns as the caller sees them.  Inside, the real tokens of a row come first, in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.errors import CallError, did_you_mean, fail

from .cache import HybridCache
from .checks import check_cache, check_input, check_keep, check_kinds, check_mask, check_positions, widened
from .targets import check_padding, check_targets, pooled_columns

if TYPE_CHECKING:
    from .model import Model


@dataclass(slots=True)  # made in every call, and a frozen one takes four times as long
class Given:
    """The arguments of one call as they were given."""

    input_ids: Tensor | None = None
    attention_mask: Tensor | None = None
    position_ids: Tensor | None = None
    inputs_embeds: Tensor | None = None
    past_key_values: HybridCache | None = None
    labels: Tensor | None = None
    start_positions: Tensor | None = None
    end_positions: Tensor | None = None
    segment_ids: Tensor | None = None
    use_cache: bool = False
    logits_to_keep: int | Tensor = 0
    num_items_in_batch: int | Tensor | None = None


TAKEN = (*(field.name for field in fields(Given)), "output_hidden_states", "output_attentions")
TENSORS = (
    "input_ids", "attention_mask", "position_ids", "inputs_embeds", "labels", "start_positions",
    "end_positions", "segment_ids",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """The arguments of one call with every row's real tokens in front; `order[b, i]` is where token i stood.

    `wanted` is what `logits_to_keep` was, `pooled` (B,) the column that a row is classified by.
    """

    ids: Tensor | None
    embeds: Tensor | None
    counts: tuple[int, ...]
    positions: Tensor | None = None
    segments: Tensor | None = None
    order: Tensor | None = None
    wanted: int | Tensor = 0
    pooled: Tensor | None = None

    @property
    def batch(self) -> int:
        """Rows."""
        return len(self.counts)

    @property
    def width(self) -> int:
        """Columns."""
        given = self.embeds if self.ids is None else self.ids
        assert given is not None, "one of the two is there"
        return given.shape[1]

    def real(self, device: torch.device) -> Tensor | None:
        """(B, T) bool in the caller's columns: what is no padding; None where nothing is."""
        if all(count == self.width for count in self.counts):
            return None
        counts = torch.tensor(self.counts, device=device)
        return self.restore(torch.arange(self.width, device=device) < counts[:, None])

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

    def keep(self, x: Tensor) -> Tensor:
        """(B, kept, D): the last `wanted` real tokens of each row, all columns for 0, or the columns named."""
        wanted = self.wanted
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


def read_call(model: Model, given: Given, refused: Mapping[str, Any]) -> Call:
    """Check the arguments of a call against each other and put real tokens first."""
    for name in refused:
        hint = did_you_mean(name, TAKEN) or f"it takes {', '.join(TAKEN)}"
        fail(CallError, "E704", f"a model call takes no argument {name!r}", hint=hint)
    check_kinds({name: getattr(given, name) for name in TENSORS})
    ids = None if given.input_ids is None else widened(given.input_ids)
    batch, width = check_input(model, ids, given.inputs_embeds).shape[:2]
    cache = given.past_key_values
    if cache is not None:
        check_cache(model, cache)
    check_segments(given, batch, width)
    check_keep(given.logits_to_keep, width)
    check_targets(model, given, batch, width)
    positions = given.position_ids
    if positions is not None:
        positions = check_positions(positions, batch, width)
    pooled = pooled_columns(model.plan.head, ids, given.inputs_embeds)
    call = Call(
        ids, given.inputs_embeds, (width,) * batch, positions, given.segment_ids,
        wanted=given.logits_to_keep, pooled=pooled,
    )  # fmt: skip
    if given.attention_mask is not None:
        call = arrange(call, check_mask(given.attention_mask, batch, width, cache))
        check_padding(model.plan.head, given, call)
    return call


def check_segments(given: Given, batch: int, width: int) -> None:
    """Numbers of packed sequences, which a cache does not continue."""
    segments = given.segment_ids
    if segments is None:
        return
    if given.past_key_values is not None or given.use_cache:
        message = "segment_ids pack whole sequences, and a cache continues one"
        fail(CallError, "E710", message, hint="call without past_key_values and use_cache")
    if segments.shape != (batch, width):
        message = f"segment_ids has shape {tuple(segments.shape)}, the input {(batch, width)}"
        fail(CallError, "E706", message)


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
        return replace(call, counts=counts)
    ids, embeds, positions, segments = (
        None if t is None else spread(t, order)
        for t in (call.ids, call.embeds, call.positions, call.segments)
    )
    return replace(
        call, ids=ids, embeds=embeds, counts=counts, positions=positions, segments=segments, order=order
    )
