"""The reference beside our model on one case of a family, and how far the two may be apart.

The tolerance of a case is the larger of 1e-5 and three times the distance between the reference's own ways to
the same numbers on that case: its attention implementations, its chunk sizes, at once and from a cache, and from
weights that are moved by a rounding.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, DynamicCache

import composer

from .cases import Case, reference_class, shared, write

ROWS = 2
CHUNKED = {"zamba2": "chunk_size", "mamba2": "chunk_size"}


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30))


def moved(model: Any, seed: int) -> Any:
    """The model with every weight at the next number, up or down: what one rounding of the weights does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            up = torch.rand(weight.shape, generator=generator) < 0.5
            weight.copy_(torch.nextafter(weight, torch.where(up, torch.inf, -torch.inf)))
    return model


class Pair:
    """One case with one head: its folder on disk, the reference loaded from it, and ours loaded from it."""

    def __init__(self, case: Case, folder: Path, head: str = "causal-lm", labels: int = 3) -> None:
        self.case, self.folder, self.head = case, folder, head
        write(case, head, folder, labels)
        generator = torch.Generator().manual_seed(1000 + case.number)
        vocab = case.config["vocab_size"]
        self.ids = torch.randint(8, vocab, (ROWS, case.prompt), generator=generator)  # no special ones

    def reference(self, attention: str = "eager", **config: Any) -> Any:
        """The reference in evaluation mode, in float32."""
        kind = reference_class(self.case.family, self.head)
        given = AutoConfig.from_pretrained(self.folder, **config)
        if self.case.family == "mamba2":
            return kind.from_pretrained(self.folder, config=given, dtype=torch.float32)
        return kind.from_pretrained(
            self.folder, config=given, dtype=torch.float32, attn_implementation=attention
        )

    @functools.cached_property
    def eager(self) -> Any:
        """The reference with its plain attention."""
        return self.reference()

    @functools.cached_property
    def ours(self) -> Any:
        """Our model from the same folder."""
        return composer.load(self.folder, dtype=torch.float32, head=self.head)

    @functools.cached_property
    def expected(self) -> Tensor:
        """The reference's logits of all rows, without a cache."""
        with torch.no_grad():
            return self.logits(self.eager(self.ids, use_cache=False))

    @staticmethod
    def logits(out: Any) -> Tensor:
        """What a head returns; both ends of an answer side by side."""
        if getattr(out, "start_logits", None) is not None:
            return torch.stack((out.start_logits, out.end_logits), -1)
        found: Tensor = out.logits
        return found

    @functools.cached_property
    def others(self) -> list[Any]:
        """The reference's other ways to the same numbers."""
        ways = [moved(self.reference(), seed) for seed in range(2)]
        if self.case.family not in ("gemma2", "mamba2"):
            ways.append(self.reference("sdpa"))
        if self.case.family in CHUNKED:
            ways.append(self.reference(**{CHUNKED[self.case.family]: 5}))
        return ways

    @functools.cached_property
    def tolerance(self) -> float:
        """How far our logits may be from the reference's."""
        with torch.no_grad():
            found = [self.logits(other(self.ids, use_cache=False)) for other in self.others]
            if self.head == "causal-lm" and self.case.family != "mamba2":
                found.append(self.stepwise())
        return max(1e-5, 3 * max((relative(each, self.expected) for each in found), default=0.0))

    def stepwise(self) -> Tensor:
        """The reference's logits from a cache: half of the prompt, then token after token."""
        cache = DynamicCache(config=self.eager.config)
        half = self.case.prompt // 2
        pieces = [self.ids[:, :half], *self.ids[:, half:].split(1, 1)]
        return torch.cat(
            [self.eager(piece, past_key_values=cache, use_cache=True).logits for piece in pieces], 1
        )

    def row(self, index: int, length: int) -> Tensor:
        """The reference's logits of the first `length` tokens of one row, alone and without a cache."""
        with torch.no_grad():
            return self.logits(self.eager(self.ids[index : index + 1, :length], use_cache=False))[0]

    def padded(self, side: str) -> tuple[Tensor, Tensor, slice]:
        """Both rows, the first cut to half and padded; the mask; where the short row lies."""
        short, full = self.case.prompt // 2, self.case.prompt
        real = slice(full - short, full) if side == "left" else slice(0, short)
        ids, mask = self.ids.flip(1), torch.ones_like(self.ids)
        ids[1], ids[0, real] = self.ids[1], self.ids[0, :short]
        mask[0] = 0
        mask[0, real] = 1
        return ids, mask, real

    def gradients(self, model: Any, scratch: Path) -> dict[str, Tensor]:
        """The gradients of a model of the reference by our names, as a checkpoint of them would be loaded."""
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
            for copies in shared(self.case, model):
                total = sum(copies[1:], copies[0].clone())
                for tensor in copies:
                    tensor.copy_(total)
        model.save_pretrained(scratch)
        return dict(composer.load(scratch, dtype=torch.float32, head=self.head).state_dict())


def distances(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The worst tensor's largest difference, over its largest value and a thousandth of the largest of all."""
    top = max(float(value.abs().max()) for value in theirs.values())
    return max(
        float((ours[name] - value).abs().max()) / (float(value.abs().max()) + 1e-3 * top)
        for name, value in theirs.items()
    )
