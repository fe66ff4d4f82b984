"""The plan: names, shapes, counts, FLOPs and bytes, all without torch."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import composer
from composer import Block, Causal, Declared, Linears, Param, Plan, Site, Slot
from composer.chain import MixerPlan
from composer.plan import HeadKind

SPEC: dict[str, Any] = {
    "composer": 1,
    "name": "small",
    "vocab_size": 100,
    "hidden_size": 16,
    "norm": {"kind": "rms", "eps": 1e-5},
    "layer": [{"norm": "rms", "mix": "mixer"}, {"norm": "rms", "mix": "mlp"}],
    "pattern": "full, swa",
    "blocks": {
        "full": {"kind": "attention", "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6},
        "swa": {"extends": "full", "sliding_window": 5},
        "mlp": {"kind": "mlp", "intermediate_size": 20, "hidden_act": "silu", "gated": True},
    },
}


def plan(kind: HeadKind = "causal-lm", **changes: Any) -> Plan:
    """The small spec with some keys changed, resolved."""
    return composer.resolve(composer.Spec.model_validate({**SPEC, **changes}), head=kind)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("mistral-7b-v0.1", 7_241_732_096),
        ("mistral-7b-v0.2", 7_241_732_096),
        ("mistral-7b-v0.3", 7_248_023_552),
        ("pocket-mistral", 902_272),
    ],
)
def test_published_counts(name: str, count: int) -> None:
    """By the plan, and by a model that was built without memory."""
    planned = composer.resolve(composer.read_spec(name))

    assert count == planned.parameter_count
    assert count == sum(p.numel() for p in composer.build(planned, device="meta").parameters())


def test_names_and_shapes() -> None:
    """Every tensor of a layer under the name that the built module gives it."""
    parameters = {name: param.shape for name, param in plan().parameters().items()}

    assert {
        "embed.weight": (100, 16),
        "layers.0.norms.mixer.weight": (16,),
        "layers.0.norms.mlp.weight": (16,),
        "layers.0.mixer.qkv.q.weight": (24, 16),
        "layers.0.mixer.qkv.k.weight": (12, 16),
        "layers.0.mixer.qkv.v.weight": (12, 16),
        "layers.0.mixer.out.o.weight": (16, 24),
        "layers.0.mlp.gate_up.gate.weight": (20, 16),
        "layers.0.mlp.gate_up.up.weight": (20, 16),
        "layers.0.mlp.down.down.weight": (16, 20),
        "norm.weight": (16,),
        "head.weight": (100, 16),
    } == {name: shape for name, shape in parameters.items() if not name.startswith("layers.1.")}


@pytest.mark.parametrize(
    ("head", "options", "names"),
    [
        ("base", {}, set()),
        ("base", {"bias": True}, set()),
        ("causal-lm", {}, {"head.weight"}),
        ("causal-lm", {"tied": True}, set()),
        ("causal-lm", {"tied": True, "bias": True}, {"head.bias"}),
        ("causal-lm", {"bias": True}, {"head.weight", "head.bias"}),
    ],
)
def test_heads(head: HeadKind, options: dict[str, bool], names: set[str]) -> None:
    """A tied head shares the token table; a base model has none, whatever the spec says of it."""
    planned = plan(head, head=options)

    assert names == {name for name in planned.parameters() if name.startswith("head.")}
    assert planned.parameter_count == sum(param.count for param in planned.parameters().values())


def test_norms_are_named_after_the_first_mixer() -> None:
    """Before, after what the branch returns, and after the sum; a LayerNorm has a bias."""
    layer = [
        {"mix": ["mixer", "mlp"], "norm": "rms", "post": {"kind": "layer", "eps": 1e-6}, "after": "rms"},
    ]
    names = list(plan(layer=layer, pattern="full").parameters())

    assert [
        "layers.0.norms.mixer.weight",
        "layers.0.norms.mixer-post.weight",
        "layers.0.norms.mixer-post.bias",
        "layers.0.norms.mixer-after.weight",
    ] == names[1:5]


def test_guests_stand_under_their_names() -> None:
    """A guest brings its norm, its parameters and its memory; the layer's own names stay as they are."""
    planned = plan(pattern="full+swa")
    (layer,) = planned.layers

    assert {"mixer": None, "swa.mixer": 5} == {path: slot.window for path, slot in layer.slots().items()}
    assert "layers.0.swa.norms.mixer.weight" in planned.parameters()
    assert "layers.0.swa.mixer.qkv.q.weight" in planned.parameters()


@pytest.mark.parametrize("context", [1, 4, 5, 6, 1000])
def test_flops(context: int) -> None:
    """Two a multiply-add: projections, scores and sums over the keys that are seen, and the head."""
    linears = 2 * 16 * (24 + 12 + 12) + 2 * 24 * 16 + 3 * 2 * 16 * 20
    full, window = (4 * 4 * 6 * keys for keys in (context, min(context, 5)))

    assert 2 * linears + full + window + 2 * 16 * 100 == plan().flops(context)
    assert 2 * linears + full + window == plan("base").flops(context)


class Unknown(Block):
    """A block that cannot say what it costs."""

    kind = "unknown"


def test_unknown_flops_are_not_guessed() -> None:
    """One block that cannot say makes the total unknown."""
    planned = plan(pattern="full")
    layer = planned.layers[0]
    branch = layer.host.branches[0]
    site = Site(reads=16, writes=16)
    mixer = MixerPlan(
        "mixer", "full", Unknown(), site, Declared(linears={"a": Linears(reads=16, parts={"b": 2})})
    )
    branches = (dataclasses.replace(branch, mixers=(mixer,)), *layer.host.branches[1:])
    host = dataclasses.replace(layer.host, branches=branches)

    assert mixer.flops(7) is None
    assert dataclasses.replace(planned, layers=(dataclasses.replace(layer, host=host),)).flops(7) is None


@pytest.mark.parametrize(
    ("context", "rollback", "ring"), [(3, 0, 3), (5, 0, 5), (100, 0, 5), (100, 1, 5), (100, 4, 8), (6, 4, 6)]
)
def test_cache_bytes(context: int, rollback: int, ring: int) -> None:
    """A full layer keeps the context, a ring its window and the slack for going back; keys and values alike."""
    token = 2 * 2 * 6 * 2

    assert token * (context + ring) == plan().cache_bytes(context, rollback=rollback)
    assert 3 * 2 * token * (context + ring) == plan().cache_bytes(context, 3, rollback, element_size=4)


def test_plans_are_compared_by_what_was_decided() -> None:
    """How a spec says it does not matter, what it says does."""
    spelt = {**SPEC["blocks"], "swa": {**SPEC["blocks"]["full"], "sliding_window": 5}}

    assert plan() == plan(blocks=spelt, pattern="full, swa", metadata={"written": "otherwise"})
    assert plan() != plan(pattern="swa, full")
    assert plan() != plan(norm={"kind": "rms", "eps": 1e-6})


def test_a_param_counts_its_elements() -> None:
    """A tensor without dimensions is one number."""
    assert [1, 3, 0] == [Param(shape=shape).count for shape in ((), (3, 1), (0, 5))]


def test_own_parameters_come_before_linears() -> None:
    """torch lists a module's own parameters first and those of its children after, and so does a declaration."""
    declared = Declared(
        linears={"out": Linears(reads=2, parts={"o": 3}, bias=True)},
        params={"scale": Param(shape=(2,)), "norm.weight": Param(shape=(3,))},
    )

    assert ["scale", "out.o.weight", "out.o.bias", "norm.weight"] == [n for n, _ in declared.parameters()]


@pytest.mark.parametrize("window", [None, 1, 3])
def test_visibility(window: int | None) -> None:
    """Itself and earlier ones, the newest `window` of them; the count is how many the last token sees."""
    sees = Causal(window)
    table = [[sees(query, key) for key in range(5)] for query in range(5)]

    assert table == [[k <= q and (not window or q - k < window) for k in range(5)] for q in range(5)]
    assert [sum(row) for row in table] == [sees.count(context) for context in range(1, 6)]


def test_slots_count_all_their_tensors() -> None:
    """Heads first, then whatever shape; 2-byte elements."""
    slot = Slot(tensors={"k": (2, 3), "v": (2, 4, 5)})

    assert (6 + 40) * 10 * 2 == slot.bytes(10, 0, 2)
