"""Checks that what the host adds to linear maps reaches them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from composer.block import Linears
from composer.chain import AdapterPlan, LayerPlan
from composer.nn import Model, build
from composer.plan import Plan
from composer.spec import Draw

from .bench import Bench
from .findings import expect, expect_close

RANK = 2
DRAWN = Draw(distribution="normal", spread=0.3)


def adapters(bench: Bench) -> None:
    """A low-rank adapter on a group of linears does what the same change of their weights does."""
    for group, linears in bench.declared.linears.items():
        adapter = beside(group, linears)
        adapted = bench.bare(build(with_adapter(bench, adapter), seed=0))
        usual, changed = bench.bare(plain(bench, adapted)), folded(bench, adapted, adapter)
        x = touched(bench, usual, changed)
        before, expected, out = (bench.run(model, x) for model in (usual, changed, adapted))
        same = torch.equal(before, out) and not torch.equal(before, expected)
        expect(not same, f"an adapter on {group!r} changes nothing")
        expect_close(out, expected, f"with an adapter on {group!r} what it returns")
        sizes = [4, 1, 2]
        expect_close(
            bench.fed(adapted, x, sizes),
            bench.fed(changed, x, sizes),
            f"the same over a cache, on {group!r},",
        )


def touched(bench: Bench, usual: Model, changed: Model) -> Tensor:
    """Seven tokens in as many rows as it takes until other weights of a group show: some groups few tokens reach."""
    for rows in (2, 64):
        x = bench.input(rows, 7)
        if not torch.equal(bench.run(usual, x), bench.run(changed, x)):
            break
    return x


def beside(group: str, linears: Linears) -> AdapterPlan:
    """An adapter on all parts of a group."""
    down = Linears(reads=linears.reads, parts={"down": RANK}, init="adapter_down")
    up = Linears(reads=RANK, parts=linears.parts, init="adapter_up")
    return AdapterPlan("mixer", group, None, down, up)


def with_adapter(bench: Bench, adapter: AdapterPlan) -> Plan:
    """The block alone in one layer, whose use has an adapter."""
    (layer,) = bench.plan.layers
    host = replace(layer.host, adapters=(adapter,))
    init = {**bench.plan.init, "adapter_down": DRAWN, "adapter_up": DRAWN}
    return replace(bench.plan, layers=(LayerPlan(0, layer.word, host),), init=init)


def plain(bench: Bench, adapted: Model) -> Model:
    """The same weights without the adapter."""
    model = build(bench.plan, seed=0)
    bench.mixer(model).load_state_dict(bench.mixer(adapted).state_dict())
    return model


@torch.no_grad()
def folded(bench: Bench, adapted: Model, adapter: AdapterPlan) -> Model:
    """A model whose weights are changed by what the adapter adds."""
    model, tensors = plain(bench, adapted), dict(adapted.named_parameters())
    start = f"layers.0.adapters.{adapter.path}"
    for part in adapter.up.parts:
        added = tensors[f"{start}.up.{part}.weight"] @ tensors[f"{start}.down.weight"]
        model.get_parameter(f"layers.0.mixer.{adapter.group}.{part}.weight").add_(added)
    return bench.bare(model)
