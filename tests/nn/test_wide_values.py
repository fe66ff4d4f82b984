"""Attention whose values are of another width than its keys: every kernel, with memory and without."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from composer import Block, Causal, Declared, Linears, Site, Slot
from composer.nn import LinearGroup, Mixer, attend, kernels
from composer.nn.layer import At
from composer.testing import alone

SITE = Site(reads=12, writes=20)
NARROW, WIDE, SCALE = 3, 5, 0.7


class WideValues(Block):
    """Four query heads over two key heads of width 3 and values of width 5."""

    kind: ClassVar[str] = "wide-values"
    window: int | None = None
    softcap: float | None = None

    def declares(self, site: Site) -> Declared:
        parts = {"q": 4 * NARROW, "k": 2 * NARROW, "v": 2 * WIDE}
        slot = Slot(tensors={"k": (2, NARROW), "v": (2, WIDE)}, window=self.window)
        return Declared(linears={"qkv": Linears(reads=site.reads, parts=parts)}, slot=slot)

    def build(self, site: Site) -> Mixer:
        return WideModule(self, site)


class WideModule(Mixer):
    """Queries, keys and values of the stream, and what attend returns of them."""

    def __init__(self, block: WideValues, site: Site) -> None:
        super().__init__()
        self.block, self.qkv = block, LinearGroup(block.declares(site).linears["qkv"])

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        parts = zip(self.qkv(x, at), (4, 2, 2), strict=True)
        q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part, heads in parts)
        sees = Causal(self.block.window)
        return attend(q, k, v, at, sees=sees, scale=SCALE, softcap=self.block.softcap)


def by_hand(block: WideValues, mixer: Any, x: torch.Tensor) -> torch.Tensor:
    """The same, a head and a query at a time."""
    q, k, v = (x @ getattr(mixer.qkv, part).weight.mT for part in "qkv")
    outs = torch.zeros(*x.shape[:2], 4, WIDE)
    for t in range(x.shape[1]):
        seen = slice(max(0, t + 1 - block.window) if block.window else 0, t + 1)
        for h in range(4):
            key, value = (p.unflatten(2, (2, -1))[:, seen, h // 2] for p in (k, v))
            scores = SCALE * (q.unflatten(2, (4, -1))[:, t, h, None] * key).sum(2)
            scores = block.softcap * torch.tanh(scores / block.softcap) if block.softcap else scores
            outs[:, t, h] = (scores.softmax(1)[:, :, None] * value).sum(1)
    return outs.flatten(2)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("softcap", [None, 0.6])
@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("kernel", ["sdpa", "reference", "flex", "flash"])
def test_values_of_another_width(
    kernel: str, window: int | None, softcap: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, one token, padded, and in pieces over a cache: (B, T, H * width of v), as by hand."""
    monkeypatch.setitem(sys.modules, "flash_attn", SimpleNamespace())  # which takes no such values
    monkeypatch.setattr(kernels, "flash_takes", lambda q: True)
    block = WideValues(window=window, softcap=softcap)
    made, x = alone(block, SITE), torch.randn(2, 9, 12, generator=torch.Generator().manual_seed(2))
    made.model.attention = kernel
    expected, cache = by_hand(block, made.block, x), made.new_cache(2)
    padded = made(torch.cat([x[:, :2], x], 1), attention_mask=(torch.arange(11) > 1).long().expand(2, -1))

    for found in (
        made(x),
        torch.cat([made(part, cache) for part in x.split([5, 1, 2, 1], 1)], 1),
        padded[:, 2:],
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(made(x[:, :1]), expected[:, :1], rtol=0, atol=1e-5)
