"""Patterns in a spec: tracks, what takes the rest, guests, and which layers an override is about."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import composer
from composer.errors import SpecError
from composer.plan import LayerPlan, Plan

from .test_pattern import PUBLISHED

WORDS = ("a", "b", "mamba", "full", "swa", "mlp", "moe", "mla", "opt", "chunked", "shared-attn")
HEAD = """
composer: 1
name: tracks
vocab_size: 50
hidden_size: 16
norm: {kind: rms, eps: 1.0e-5}
layer: [{norm: rms, mix: mixer}%s]
blocks:
  base: {kind: mlp, intermediate_size: 8, hidden_act: relu}
  rope: {kind: attention, num_attention_heads: 2}
  both: {branches: [{norm: rms, mix: base}, {norm: rms, mix: rope}]}
"""


def resolved(pattern: str | dict[str, str], layers: int | None = None, more: str = "") -> Plan:
    """The plan of a pattern in a spec whose words are all feed-forward blocks."""
    several = isinstance(pattern, dict) and "ffn" in pattern
    lines = [HEAD % (", {norm: rms, mix: ffn}" if several else "")]
    lines += [f"  {word}: {{extends: base}}\n" for word in WORDS]
    lines += ["pattern:" if isinstance(pattern, dict) else f"pattern: {pattern}", "\n"]
    lines += [f"  {track}: {each}\n" for track, each in pattern.items()] if isinstance(pattern, dict) else []
    lines += [f"layers: {layers}\n"] if layers else []
    return composer.resolve(composer.read_spec("".join([*lines, more])))


@pytest.mark.parametrize(("text", "layers", "remainder", "guests", "counts"), PUBLISHED)
def test_published_patterns(
    text: str, layers: int, remainder: str, guests: list[int], counts: dict[str, int]
) -> None:
    """Published patterns have their layers, and shared blocks ride where the checkpoints say."""
    plan = resolved(text.replace("rope=none", "bias=true"), layers, f"remainder: {remainder}\n")

    assert layers == len(plan.layers)
    assert guests == [layer.index for layer in plan.layers if layer.guests]
    assert counts == {name: sum(layer.word == name for layer in plan.layers) for name in counts}


def test_published_tracks() -> None:
    """A layer is called by the words of its tracks, and its branches hold the word of their track."""
    plan = resolved({"mixer": "mamba×4, full, mamba×3", "ffn": "mlp, moe"}, 32)
    words = [layer.word for layer in plan.layers]
    blocks = [(mixer.path, mixer.word) for mixer in plan.layers[4].host.mixers]

    assert {"mamba/mlp": 12, "mamba/moe": 16, "full/mlp": 4} == {word: words.count(word) for word in words}
    assert [("mixer", "full"), ("ffn", "mlp")] == blocks
    assert (
        "layers.4.ffn.up.up.weight" in plan.parameters() or "layers.4.norms.ffn.weight" in plan.parameters()
    )


def test_rest_fills_the_layers() -> None:
    """The last track of a published model: three dense layers, then all that are left."""
    plan = resolved({"mixer": "mla", "ffn": "mlp×3, moe×rest"}, 61)

    runs = [(word, len([*run])) for word, run in itertools.groupby(layer.word for layer in plan.layers)]
    assert [("mla/mlp", 3), ("mla/moe", 58)] == runs


def test_guests_ride_in_any_track() -> None:
    """A guest joins the branch of its word; arguments are those of the block that has them."""
    plan = resolved(
        {"mixer": "a, b+shared-attn", "ffn": "mlp(intermediate_size=4)×3+swa(intermediate_size=5), moe"}
    )
    sizes = [intermediate_sizes(layer) for layer in plan.layers]

    assert [[], ["shared-attn"], ["swa"], ["shared-attn"]] == [[*layer.guests] for layer in plan.layers]
    assert [{}, {}, {"swa": 1}, {}] == [layer.joins for layer in plan.layers]
    assert {"a": 8, "mlp": 4, "swa": 5} == sizes[2]
    assert {"b": 8, "moe": 8, "shared-attn": 8} == sizes[3]


def intermediate_sizes(layer: LayerPlan) -> dict[str, int]:
    """The width of each feed-forward block of a layer."""
    return {mixer.word: mixer.block.model_dump()["intermediate_size"] for _, mixer in layer.mixers()}


def test_a_lone_track_is_a_pattern() -> None:
    """A mapping of the track `mixer` means what the string alone does, whole layers among its words."""
    one, other = resolved("both, a"), resolved({"mixer": "both, a"})

    assert one.layers == other.layers
    assert ["both", "a"] == [layer.word for layer in one.layers]


# selectors, the layers of `a×2, (b, a)×2+shared-attn` twice over: a a b a b a a a b a b a, guests at 5 and 11
SELECTORS: list[tuple[Any, list[int]]] = [
    (0, [0]),
    (-1, [11]),
    ("8..10", [8, 9, 10]),
    ("-2..-1", [10, 11]),
    (" 3 .. -8 ", [3, 4]),
    ("b", [2, 4, 8, 10]),
    ("b[0]", [2]),
    ("b[-1]", [10]),
    ("b[1..2]", [4, 8]),
    ("shared-attn", [5, 11]),
    ("shared-attn[1]", [11]),
    ("[0, -1, 'b[0]', '3..5']", [0, 2, 3, 4, 5, 11]),
    ("[b, 'b[0]']", [2, 4, 8, 10]),
]


@pytest.mark.parametrize(("at", "indices"), SELECTORS, ids=lambda value: str(value))
def test_selectors(at: Any, indices: list[int]) -> None:
    """An override changes the layers that it selects, and what it names there."""
    written = at if isinstance(at, int) or at.startswith("[") else f"'{at}'"
    more = f"overrides: [{{at: {written}, set: {{intermediate_size: 3}}}}]\n"
    plan = resolved("a×2, (b, a)×2+shared-attn", 12, more)

    assert indices == [layer.index for layer in plan.layers if 3 in intermediate_sizes(layer).values()]
    changed = {word for layer in plan.layers for word, size in intermediate_sizes(layer).items() if size == 3}
    assert changed <= ({"shared-attn"} if "shared" in str(at) else {"a", "b"})


def test_overrides_of_tracks() -> None:
    """In a layer of several words an override names a track, a block, or selects by the word itself."""
    more = """
overrides:
  - {at: "moe[0]", set: {intermediate_size: 3}}
  - {at: 0, block: ffn, set: {intermediate_size: 4}}
  - {at: 0, block: a, set: {intermediate_size: 5}}
  - {at: [2, "b[0]"], block: mixer, set: {intermediate_size: 6}}
"""
    plan = resolved({"mixer": "a, b", "ffn": "mlp, moe"}, 4, more)

    sizes = [{"a": 5, "mlp": 4}, {"b": 6, "moe": 3}, {"a": 6, "mlp": 8}, {"b": 8, "moe": 8}]
    assert sizes == [intermediate_sizes(layer) for layer in plan.layers]


def test_overrides_by_word_disagree() -> None:
    """Two values for one option at one layer are refused, however the layer was selected."""
    more = "overrides: [{at: b, set: {bias: true}}, {at: 'b[-1]', set: {bias: false}}]\n"
    with pytest.raises(SpecError) as caught:
        resolved("a, b", 4, more)

    assert ["layer 3: 'bias' is true by overrides.0 and false here"] == [
        p.message for p in caught.value.problems
    ]


def test_huge_models_of_tracks_are_refused_at_once() -> None:
    """The number of layers is held to its limit before anything takes the rest."""
    with pytest.raises(SpecError) as caught:
        resolved({"mixer": "a×rest", "ffn": "b"}, 10**6)

    assert ["E211"] == [problem.code for problem in caught.value.problems]
