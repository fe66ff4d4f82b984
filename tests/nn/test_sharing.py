"""Shared blocks, what each use has of its own, and adapters: one set of weights, one memory a use."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import composer
from composer import Plan
from composer.errors import SpecError
from composer.nn import Model

from .models import VOCAB, close, ids

SHARED: dict[str, Any] = {
    "reads": ["stream", "embedding"],
    "out": "linear",
    "share": {"copies": 2},
    "adapters": {"mlp.gate_up": {"rank": 3}, "attn.qkv.k": {"rank": 2, "alpha": 5.0}},
    "branches": [{"norm": "rms", "mix": "attn", "residual": 0}, {"norm": "rms", "mix": "mlp", "residual": 0}],
}
ATTENTION = {"kind": "attention", "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6}
MLP = {"kind": "mlp", "intermediate_size": 20, "hidden_act": "gelu", "gated": True}


def plan(pattern: str = "(full, full+shared)×3", **changes: Any) -> Plan:
    """Hosts of attention, with a guest that rides on some of them."""
    wide = {"distribution": "normal", "spread": 0.3}
    data: dict[str, Any] = {
        "composer": 1,
        "name": "guests",
        "vocab_size": VOCAB,
        "hidden_size": 16,
        "norm": {"kind": "rms", "eps": 1e-5},
        "pattern": pattern,
        "blocks": {"full": ATTENTION, "attn": ATTENTION, "mlp": MLP, "shared": SHARED},
        "init": {kind: wide for kind in ("linear", "embedding", "adapter_down", "adapter_up")},
    }
    return composer.resolve(composer.Spec.model_validate({**data, **changes}))


@pytest.fixture(scope="module")
def model() -> Model:
    return composer.build(plan(), seed=0)


def test_names(model: Model) -> None:
    """The plan lists every parameter once, in the order and with the shapes of the model."""
    named = {name: tuple(value.shape) for name, value in model.named_parameters()}

    assert list(named.items()) == [(n, p.shape) for n, p in model.plan.parameters().items()]
    assert (20, 3) == named["layers.1.shared.adapters.mlp.gate_up.up.gate.weight"]
    assert (16, 16) == named["layers.5.shared.out.weight"]
    assert (24, 32) == named["shared.shared.1.attn.qkv.q.weight"]


def test_copies_go_by_use(model: Model) -> None:
    """The k-th use takes copy k modulo copies, whatever layer it stands in; counts tell unique from used."""
    plan = model.plan
    one = sum(param.count for name, param in plan.parameters().items() if name.startswith("shared.shared.0."))

    assert {"shared": ((1, 0), (3, 1), (5, 0))} == dict(plan.uses)
    assert plan.parameter_count == sum(p.numel() for p in model.parameters())
    assert plan.used_parameter_count == plan.parameter_count + one


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_one_instance_after_a_copy(model: Model, again: Any) -> None:
    """A copied model has its own weights, each shared set once, and computes the same."""
    other = again(model)
    with torch.no_grad():
        same = torch.equal(other(ids(2, 5)).logits, model(ids(2, 5)).logits)
        other.get_parameter("shared.shared.0.attn.out.o.weight").zero_()

    assert same
    assert not torch.equal(other(ids(2, 5)).logits, model(ids(2, 5)).logits)
    assert len(list(model.parameters())) == len(list(other.parameters()))


def by_hand(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """The guest of layer 1, from the stream it reads to what joins its host, in plain torch."""
    named, norm = dict(model.named_parameters()), torch.nn.functional.rms_norm
    shared, own = "shared.shared.0.", "layers.1.shared."
    kept = model(tokens, output_hidden_states=True).hidden_states
    assert kept is not None
    x = norm(torch.cat([kept[1], kept[0]], -1), (32,), named[f"{shared}norms.attn.weight"], 1e-5)
    q, k, v = (x @ named[f"{shared}attn.qkv.{part}.weight"].T for part in "qkv")
    adapter = f"{own}adapters.attn.qkv.k."
    k = k + x @ named[f"{adapter}down.weight"].T @ named[f"{adapter}up.k.weight"].T * 5 / 2
    heads = [t.unflatten(-1, (-1, 6)).transpose(1, 2) for t in (q, k, v)]
    y = torch.nn.functional.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
    y = y.transpose(1, 2).flatten(2) @ named[f"{shared}attn.out.o.weight"].T
    y = norm(y, (16,), named[f"{shared}norms.mlp.weight"], 1e-5)
    adapter = f"{own}adapters.mlp.gate_up."
    low = y @ named[f"{adapter}down.weight"].T
    gate, up = (
        y @ named[f"{shared}mlp.gate_up.{part}.weight"].T + low @ named[f"{adapter}up.{part}.weight"].T
        for part in ("gate", "up")
    )
    y = (torch.nn.functional.gelu(gate) * up) @ named[f"{shared}mlp.down.down.weight"].T
    return y @ named[f"{own}out.weight"].T


@torch.no_grad()
def test_a_guest_by_hand(model: Model) -> None:
    """It reads stream and embedding, has no residuals, adds its adapters, and joins the host's input alone."""
    tokens, seen = ids(2, 7), {}
    guest = model.get_submodule("layers.1.shared")
    handle = guest.register_forward_hook(lambda _m, _i, out: seen.update(out=out))
    expected = by_hand(model, tokens)
    handle.remove()

    assert close(seen["out"], expected)


@torch.no_grad()
def test_every_use_remembers_for_itself(model: Model) -> None:
    """Cached in pieces equals at once, with a slot for each use of the shared weights."""
    tokens, cache = ids(2, 9), model.new_cache(2)
    parts = [model(part, past_key_values=cache).logits for part in tokens.split([4, 1, 4], 1)]

    assert close(torch.cat(parts, 1), model(tokens).logits)
    assert 6 + 3 == sum(len(slots) for slots in cache.slots)


def test_a_mixer_shared_by_itself() -> None:
    """In a layer the block alone is shared; its norms belong to the layers."""
    made = plan(
        "full×3",
        layer=[{"norm": "rms", "mix": "mixer"}, {"norm": "rms", "mix": "mlp"}],
        blocks={"full": ATTENTION, "mlp": {**MLP, "share": {"copies": 1}, "adapters": {"down": {"rank": 2}}}},
    )
    model = composer.build(made, seed=0)
    named = [name for name, _ in model.named_parameters()]

    assert list(made.parameters()) == named
    assert 3 == sum("norms.mlp" in name for name in named)
    assert 1 == sum(name.endswith("down.down.weight") and "adapters" not in name for name in named)
    assert 3 == sum(name.endswith("adapters.mlp.down.down.weight") for name in named)


def test_a_layer_shared_as_a_whole() -> None:
    """A word with branches of its own and one copy: the same layer again and again."""
    word = {
        "share": {"copies": 1},
        "branches": [{"norm": "rms", "mix": "attn"}, {"norm": "rms", "mix": "mlp"}],
    }
    made = plan("block×3", blocks={"block": word, "attn": ATTENTION, "mlp": MLP})
    model = composer.build(made, seed=0)
    tokens = ids(2, 6)

    assert not [name for name in made.parameters() if name.startswith("layers.")]
    assert list(made.parameters()) == [name for name, _ in model.named_parameters()]
    with torch.no_grad():
        whole = model(tokens, output_hidden_states=True).hidden_states
        again = model(inputs_embeds=whole[1], output_hidden_states=True).hidden_states
    assert close(again[1], whole[2])


def test_frozen_adapters() -> None:
    """What a frozen adapter adds to does not learn; the adapter and all else do."""
    frozen = {**SHARED, "adapters": {"mlp.gate_up": {"rank": 3, "frozen": True}}}
    made = plan(blocks={"full": ATTENTION, "attn": ATTENTION, "mlp": MLP, "shared": frozen})
    model = composer.build(made, seed=0)
    model(ids(2, 5), labels=ids(2, 5, seed=1)).loss.backward()
    still = {name for name, value in model.named_parameters() if value.grad is None}

    assert still == set(made.frozen)
    assert {f"shared.shared.{c}.mlp.gate_up.{p}.weight" for c in (0, 1) for p in ("gate", "up")} == still


def test_names_that_trees_of_modules_use() -> None:
    """A block may be called what the tree of adapters once called something of its own."""
    guest = {"adapters": {"put.down": {"rank": 2}}, "branches": [{"norm": "rms", "mix": "put"}]}
    made = plan("full+guest", blocks={"full": ATTENTION, "put": MLP, "guest": guest})
    names = [name for name, _ in composer.build(made, seed=0).named_parameters()]

    assert list(made.parameters()) == names
    assert "layers.0.guest.adapters.put.down.up.down.weight" in names


def test_uses_are_told_in_the_order_they_run() -> None:
    """A guest runs before its host, also where both are uses of one word."""
    entry = {"share": {"copies": 2}, "branches": [{"norm": "rms", "mix": "mlp"}]}
    blocks = {"mlp": MLP, "both": entry, "also": {**entry, "share": {"copies": 1}}}
    made = plan("(both+also)×2", blocks=blocks)

    assert {"also": ((0, 0), (1, 0)), "both": ((0, 0), (1, 1))} == made.uses
    assert ["also", "both"] == list(made.shared)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("full, part", "'part' is a part of a layer, and only a guest has 'reads'"),
        ("full+outer", "'part' is a part of 'outer', and only a guest has 'reads'"),
    ],
)
def test_only_a_guest_reads_what_it_likes(pattern: str, said: str) -> None:
    """What a block inside a layer or inside another says of its reading is refused, not passed over."""
    blocks = {
        "full": ATTENTION,
        "part": {**MLP, "reads": ["embedding"]},
        "outer": {"branches": [{"mix": "part"}]},
    }
    with pytest.raises(SpecError) as caught:
        plan(pattern, blocks=blocks)

    assert [said] == [problem.message for problem in caught.value.problems]


def test_a_copy_is_no_guest_and_a_part_at_once() -> None:
    """As a guest a block brings a norm, in a layer it does not."""
    with pytest.raises(SpecError) as caught:
        plan("full+mlp, mlp", blocks={"full": ATTENTION, "mlp": {**MLP, "share": {"copies": 1}}})

    (problem,) = caught.value.problems
    assert "layers 0 and 1 share a copy of 'mlp', one as a guest and one as a part of it" == problem.message
    assert "a guest brings a norm with it; give one of them another name" == problem.hint
