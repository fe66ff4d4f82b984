"""From spec to plan: the pattern laid out, every layer's options decided, every default filled."""

from __future__ import annotations

from typing import Any

import pytest

import composer
from composer import Norm, Plan
from composer.errors import SpecError

from .test_plan import SPEC


def resolved(**changes: Any) -> Plan:
    """The small spec with some keys changed."""
    return composer.resolve(composer.Spec.model_validate({**SPEC, **changes}))


def blocks(**changes: Any) -> dict[str, Any]:
    """The blocks of the small spec with some entries changed or added."""
    return {
        name: {**SPEC["blocks"].get(name, {}), **entry}
        for name, entry in {**SPEC["blocks"], **changes}.items()
    }


def windows(plan: Plan) -> list[int | None]:
    """The window of each layer's mixer."""
    return [layer.host.mixers[0].block.sliding_window for layer in plan.layers]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pattern", "layers", "expected"),
    [
        ("full", None, [None]),
        ("full×3", None, [None] * 3),
        ("full, swa×2", 6, [None, 5, 5] * 2),
        ("(swa, full)×2, swa", None, [5, None, 5, None, 5]),
        (["full", "swa"], 4, [None, 5, None, 5]),
    ],
)
def test_the_pattern_cycles(pattern: Any, layers: int | None, expected: list[int | None]) -> None:
    """Words become layers, repeated until there are as many as asked for."""
    assert expected == windows(resolved(pattern=pattern, layers=layers))


def test_a_remainder_is_cut_only_when_told() -> None:
    """Five layers of a pattern of two are a mistake unless the spec says to truncate."""
    with pytest.raises(SpecError):
        resolved(layers=5)

    assert [None, 5, None, 5, None] == windows(resolved(layers=5, remainder="truncate"))


def test_who_has_the_last_word() -> None:
    """Entry, then the pattern's argument, then overrides, then `final`; null is a value."""
    pattern = "swa, swa(sliding_window=6), swa(sliding_window=6), swa(sliding_window=6)"
    overrides = [{"at": 2, "set": {"sliding_window": 7}}, {"at": 3, "set": {"sliding_window": None}}]

    assert [5, 6, 7, None] == windows(resolved(pattern=pattern, overrides=overrides))
    final = {"swa": {"sliding_window": 9}}
    assert [9] * 4 == windows(resolved(pattern=pattern, overrides=overrides, final=final))


@pytest.mark.parametrize(
    ("at", "changed"), [(0, {0}), (-1, {5}), ("2..4", {2, 3, 4}), (" 0 .. 0 ", {0}), ("0..5", set(range(6)))]
)
def test_selectors(at: int | str, changed: set[int]) -> None:
    """One layer from either end, or a range that includes its last."""
    plan = resolved(pattern="full×6", overrides=[{"at": at, "set": {"sliding_window": 3}}])

    assert changed == {index for index, window in enumerate(windows(plan)) if window == 3}


def test_overrides_reach_any_block_of_a_layer() -> None:
    """By name; the others of that layer, and that block in other layers, stay."""
    plan = resolved(overrides=[{"at": 1, "block": "mlp", "set": {"hidden_act": "relu"}}])
    acts = [layer.host.mixers[1].block.hidden_act for layer in plan.layers]  # type: ignore[attr-defined]

    assert ["silu", "relu"] == acts
    assert [None, 5] == windows(plan)


def test_extending() -> None:
    """Mappings merge key by key, anything else replaces, and a chain of any length is followed."""
    rope = {"type": "yarn", "theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32}
    plan = resolved(
        pattern="full, swa, last",
        blocks=blocks(
            full={"rope": rope}, swa={"rope": {"factor": 8.0}}, last={"extends": "swa", "rope": None}
        ),
    )
    first, second, third = (layer.host.mixers[0].block for layer in plan.layers)

    assert (4.0, 1e6) == (first.rope.factor, first.rope.theta)  # type: ignore[attr-defined]
    assert (8.0, 1e6) == (second.rope.factor, second.rope.theta)  # type: ignore[attr-defined]
    assert (None, 5) == (third.rope, third.sliding_window)  # type: ignore[attr-defined]


def test_defaults_are_filled_by_the_site() -> None:
    """What depends on the width is decided where the block stands."""
    plan = resolved(blocks=blocks(full={"num_key_value_heads": None, "head_dim": None}))
    block = plan.layers[0].host.mixers[0].block

    assert (4, 4, 0.5) == (block.num_key_value_heads, block.head_dim, block.scale)  # type: ignore[attr-defined]


def test_without_a_layer_there_is_one_branch() -> None:
    """The mixer behind the model's norm, added to the stream."""
    (layer,) = resolved(layer=None, pattern="mlp").layers
    (branch,) = layer.host.branches

    assert ("mixer", "mlp") == (branch.mixers[0].path, branch.mixers[0].word)
    assert (Norm(kind="rms", eps=1e-5), 1.0, 1.0) == (branch.norm, branch.scale, branch.residual)


def test_branches_side_by_side() -> None:
    """Several mixers on one norm; the word stands where `mixer` is named."""
    layer = [{"mix": ["mlp", "mixer"], "norm": "rms", "scale": 0.5, "residual": 2.0}]
    (branch,) = resolved(layer=layer, pattern="swa").layers[0].host.branches

    assert [("mlp", "mlp"), ("mixer", "swa")] == [(m.path, m.word) for m in branch.mixers]
    assert (0.5, 2.0) == (branch.scale, branch.residual)


def test_a_word_with_branches_replaces_the_layer() -> None:
    """Its own branches stand, and only where it stands."""
    own = {"both": {"branches": [{"mix": "full", "norm": "rms"}, {"mix": "mlp"}, {"mix": "swa"}]}}
    first, second = resolved(pattern="both, swa", blocks={**SPEC["blocks"], **own}).layers

    assert ["full", "mlp", "swa"] == [mixer.path for mixer in first.host.mixers]
    assert ["mixer", "mlp"] == [mixer.path for mixer in second.host.mixers]


def test_guests_return_without_a_residual() -> None:
    """What a guest computes joins what the host reads; the stream itself is not added twice."""
    (layer,) = resolved(pattern="full+swa").layers
    (branch,) = layer.guests["swa"].branches

    assert 0.0 == branch.residual
    assert ["mixer", "swa"] == [branch.mixers[0].path, branch.mixers[0].word]


def test_norms_by_name_and_by_numbers() -> None:
    """A bare kind takes the model's numbers; one with numbers is its own; null is none."""
    layer = [{"mix": "mixer", "norm": "rms", "post": {"kind": "layer", "eps": 0.5}}, {"mix": "mlp"}]
    first, second = resolved(layer=layer, pattern="full").layers[0].host.branches

    assert (SPEC["norm"]["eps"], Norm(kind="layer", eps=0.5)) == (first.norm.eps, first.post)  # type: ignore[union-attr]
    assert (None, None, None) == (second.norm, second.post, second.after)


def test_draws_are_those_of_the_spec_over_the_defaults() -> None:
    """Only kinds of tensors that there are."""
    init = {"linear": {"distribution": "uniform", "spread": 0.1}}
    plan = resolved(init=init)

    assert {"embedding", "linear", "norm"} == set(plan.init)
    assert ("uniform", 0.1) == (plan.init["linear"].distribution, plan.init["linear"].spread)


def test_all_problems_at_once() -> None:
    """One run tells everything that is wrong, each once."""
    with pytest.raises(SpecError) as caught:
        resolved(
            overrides=[
                {"at": 9, "set": {"sliding_window": 1}},
                {"at": 0, "block": "attn", "set": {"bias": True}},
            ],
            blocks=blocks(mlp={"hidden_act": "sulu"}, full={"head_dim": -1}),
        )
    codes = [problem.code for problem in caught.value.problems]

    assert len(set(caught.value.problems)) == len(codes)
    assert {"E325", "E321"} <= set(codes)
    assert {"blocks.mlp.hidden_act", "blocks.full.head_dim"} <= {p.path for p in caught.value.problems}


def test_resolving_is_repeatable() -> None:
    """The same spec gives an equal plan, and stays as it was."""
    spec = composer.Spec.model_validate(SPEC)
    before = spec.model_dump()

    assert composer.resolve(spec) == composer.resolve(spec)
    assert before == spec.model_dump()


@pytest.mark.parametrize("layer", [None, [{"norm": "rms", "mix": "ffn"}]])
def test_a_whole_layer_in_a_lone_track(layer: Any) -> None:
    """Whatever the only track is called, its words may have branches of their own."""
    both = {"branches": [{"norm": "rms", "mix": ["full", "mlp"]}]}
    found = resolved(pattern={"ffn": "both×2"}, layer=layer, blocks={**SPEC["blocks"], "both": both})

    assert [["full", "mlp"]] * 2 == [[mixer.path for mixer in layer.host.mixers] for layer in found.layers]


def test_adapters_of_blocks_that_stand_in_no_layer() -> None:
    """They are held to the linears of the block all the same."""
    wide = {"extends": "full", "adapters": {"qvk": {"rank": 2}}}
    with pytest.raises(SpecError, match="'wide' has no linear 'qvk'"):
        resolved(blocks={**SPEC["blocks"], "wide": wide})


def test_draws_of_blocks_that_stand_in_no_layer() -> None:
    """A spec may be tried with a pattern that leaves out some of its blocks, and keeps how they are drawn."""
    state = {"kind": "mamba2", "num_heads": 2, "head_dim": 8, "state_size": 4}
    init = {"conv": {"distribution": "uniform", "spread": 0.5}}
    found = resolved(pattern="full", blocks={**SPEC["blocks"], "state": state}, init=init)

    assert {"bias", "conv"} & found.init.keys() == set()
    with pytest.raises(SpecError, match="no tensor is of the kind 'conv'"):
        resolved(pattern="full", init=init)
