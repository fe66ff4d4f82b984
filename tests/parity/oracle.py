"""The reference beside our model on one case, and how far the two may be apart.

The tolerance of a case is the larger of 1e-5 and three times the distance between the reference's own ways to
the same logits on that case: its attention implementations, at once and from a cache.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

import composer

from .configs import NEW_TOKENS, Case, write

ROWS = 2


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max())


def root_mean_square(a: Tensor, b: Tensor) -> float:
    """The typical difference, in units of the typical value of `b`."""
    return float((a.double() - b.double()).square().mean().sqrt() / b.double().square().mean().sqrt())


class Pair:
    """One case: its folder on disk, the reference loaded from it, and ours loaded from it."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder = case, folder
        write(case, folder)
        generator = torch.Generator().manual_seed(1000 + case.number)
        self.ids = torch.randint(case.config["vocab_size"], (ROWS, case.prompt), generator=generator)

    def reference(self, attention: str = "eager", dtype: torch.dtype = torch.float32) -> Any:
        """The reference in evaluation mode."""
        return AutoModelForCausalLM.from_pretrained(self.folder, dtype=dtype, attn_implementation=attention)

    @functools.cached_property
    def eager(self) -> Any:
        """The reference with its plain attention."""
        return self.reference()

    @functools.cached_property
    def ours(self) -> Any:
        """Our model from the same folder."""
        return composer.load(self.folder, dtype=torch.float32)

    @functools.cached_property
    def expected(self) -> Tensor:
        """The reference's logits of all rows, without a cache."""
        with torch.no_grad():
            return self.eager(self.ids, use_cache=False).logits

    @functools.cached_property
    def tolerance(self) -> float:
        """How far our logits may be from the reference's."""
        with torch.no_grad():
            others = [self.reference("sdpa")(self.ids, use_cache=False).logits]
            # Its cache holds too much for a window of 1, and keeps the angles of a shorter text.
            if self.case.config["sliding_window"] != 1 and self.turns_alike(self.case.prompt // 2):
                others.append(self.stepwise())
        return max(1e-5, 3 * max(relative(other, self.expected) for other in others))

    def stepwise(self) -> Tensor:
        """The reference's logits from a cache: half of the prompt, then token after token."""
        cache = DynamicCache(config=self.eager.config)
        half = self.case.prompt // 2
        pieces = [self.ids[:, :half], *self.ids[:, half:].split(1, 1)]
        return torch.cat([self.eager(piece, past_key_values=cache).logits for piece in pieces], 1)

    def row(self, index: int, length: int) -> Tensor:
        """Our logits of the first `length` tokens of one row, alone and without a cache."""
        with torch.no_grad():
            return self.ours(self.ids[index : index + 1, :length]).logits[0]

    def lengths(self) -> tuple[int, int]:
        """A short and a full row whose ropes turn alike; both full where half a row would turn otherwise."""
        short, full = self.case.prompt // 2, self.case.prompt
        return (short if self.turns_alike(short) else full), full

    def turns_alike(self, short: int) -> bool:
        """Whether a text of `short` tokens has the angles of the whole prompt."""
        options = self.case.config["rope_parameters"]
        if options["rope_type"] == "dynamic":
            return bool(self.case.prompt <= self.case.config["max_position_embeddings"])
        if options["rope_type"] == "longrope":
            return not short <= options["original_max_position_embeddings"] < self.case.prompt
        return True

    def greedy(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The reference's new tokens (rows, n), and where its choice is within the tolerance of another."""
        out = self.eager.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            # With a window of 1 its cache keeps every key (a slice from minus zero) and its tokens go astray.
            use_cache=self.case.config["sliding_window"] != 1,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        logits = torch.stack(out.logits, 1)
        best = logits.topk(2, -1).values
        close = best[..., 0] - best[..., 1] <= self.tolerance * logits.abs().amax(-1)
        return out.sequences[:, ids.shape[1] :], close
