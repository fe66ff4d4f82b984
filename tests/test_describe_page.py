"""docs/models: the pages are those of the shipped specs, and every number on them is one of the plan's."""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import composer
from composer import Plan
from composer.describe.page import index_page, model_page, model_pages
from composer.describe.summary import DEFAULT_CONTEXT
from composer.shipped import shipped_specs

DOCS = Path(__file__).parents[1] / "docs"

RIDERS = """
composer: 1
name: riders
vocab_size: 64
hidden_size: 16
norm: {kind: rms, eps: 1.0e-5}
pattern: PATTERN
blocks:
  near: {kind: attention, num_attention_heads: 2, sliding_window: 4}
  far: {extends: near, sliding_window: null}
  feed: {kind: mlp, intermediate_size: 8, hidden_act: silu}
  rider: {branches: [{norm: rms, mix: far}, {norm: rms, mix: feed}]}
"""


@cache
def shipped(name: str) -> Plan:
    """The plan of a shipped spec."""
    return composer.resolve(composer.read_spec(name))


@cache
def tables(name: str) -> dict[str, list[list[str]]]:
    """The tables of a page by their first title, as rows of cells."""
    found: dict[str, list[list[str]]] = {}
    for block in model_page(shipped(name)).split("\n\n"):
        if block.startswith("|"):
            titles, _, *rows = (
                [c.strip() for c in line.strip("|").split(" | ")] for line in block.split("\n")
            )
            found[titles[0].strip("| ")] = rows
    return found


def whole(text: str) -> int:
    """A number with thousands separated."""
    return int(text.replace(",", ""))


def span(text: str) -> int:
    """How many layers `3..7` or `3` are."""
    first, _, last = text.partition("..")
    return int(last or first) - int(first) + 1


def test_pages_are_fresh() -> None:
    """Every file is what the specs give now, and there is no other; COMPOSER_GOLDEN=1 writes them anew."""
    if os.environ.get("COMPOSER_GOLDEN") == "1":
        runpy.run_path(str(DOCS / "make_models.py"), run_name="__main__")
    found = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "models").iterdir()}

    assert model_pages(map(shipped, shipped_specs())) == found


@pytest.mark.parametrize("name", shipped_specs())
def test_counts(name: str) -> None:
    """Parts add up to the whole, each once and once for each use; so do the layers and what is outside them."""
    plan, parameters = shipped(name), shipped(name).parameters()
    *parts, total = tables(name)["part"]
    layers = tables(name)["layers"]
    outside = sum(param.count for key, param in parameters.items() if not key.startswith("layers."))

    assert [plan.parameter_count, plan.used_parameter_count] == [whole(total[2]), whole(total[4])]
    assert whole(total[2]) == sum(whole(row[2]) for row in parts)
    assert whole(total[4]) == sum(whole(row[4]) for row in parts)
    assert [f"{100 * whole(row[2]) / plan.parameter_count:.1f} %" for row in parts] == [
        row[3] for row in parts
    ]
    assert plan.parameter_count == outside + sum(span(row[0]) * whole(row[4]) for row in layers)
    assert len(plan.layers) == sum(span(row[0]) for row in layers)


@pytest.mark.parametrize("name", shipped_specs())
def test_each_part(name: str) -> None:
    """A part has the tensors of its blocks, by an independent walk over the plan."""
    plan, shown = shipped(name), {row[0]: whole(row[4]) for row in tables(name)["part"]}
    expected: dict[str, int] = {}
    for layer in plan.layers:
        for _, mixer in layer.mixers():
            key = f"`{mixer.word}`"
            expected[key] = expected.get(key, 0) + sum(p.count for _, p in mixer.declared.parameters())
    table = sum(p.count for key, p in plan.parameters().items() if re.match("embed|positions|project", key))
    head = sum(p.count for key, p in plan.parameters().items() if key.startswith("head."))

    assert expected == {key: value for key, value in shown.items() if key.startswith("`")}
    assert [table, head] == [shown["embedding"], shown["head"]]


@pytest.mark.parametrize("name", shipped_specs())
def test_costs(name: str) -> None:
    """Cache bytes and FLOPs at every length, and those of the layers add up to the longest."""
    plan, rows = shipped(name), tables(name)["tokens"]
    most, layers = whole(rows[-1][0]), tables(name)["layers"]

    assert most == (plan.sizes.max_position_embeddings or DEFAULT_CONTEXT)
    for tokens, held, _, flops, _ in rows:
        assert [plan.cache_bytes(whole(tokens)), plan.flops(whole(tokens))] == [whole(held), whole(flops)]
    assert plan.cache_bytes(most) == sum(span(row[0]) * whole(row[6]) for row in layers)
    outside = plan.flops(most) - sum(span(row[0]) * whole(row[5]) for row in layers)  # type: ignore[operator]
    assert outside == outside_flops(plan)


def outside_flops(plan: Plan) -> int:
    """The head and the maps to and from a token table of another width."""
    matrices = [p for key, p in plan.parameters().items() if key.startswith("project_")]
    table = plan.parameters()["embed.weight"]
    return 2 * (table.count + sum(p.count for p in matrices))


@pytest.mark.parametrize("name", shipped_specs())
def test_facts_and_weights(name: str) -> None:
    """The facts at the top, and the shape of every tensor in the list."""
    plan, facts = shipped(name), dict(tables(name)[""])
    parameters = plan.parameters()

    assert facts["parameters"].startswith(f"{plan.parameter_count:,} (")
    assert facts["parameters"].endswith("as published")
    assert [f"{plan.sizes.hidden_size:,}", f"{plan.sizes.vocab_size:,}", f"{len(plan.layers):,}"] == [
        facts[key] for key in ("width of the stream", "vocabulary", "layers")
    ]
    assert f"{2 * plan.parameter_count:,} bytes" == facts["weights in bfloat16"].split(" (")[0] or any(
        param.dtype != "model" for param in parameters.values()
    )
    for row in tables(name)["parameter"]:
        shape = tuple(map(whole, row[1].split(" × "))) if row[1] != "one number" else ()
        assert parameters[row[0].strip("`")].shape == shape


@pytest.mark.parametrize("name", shipped_specs())
def test_options(name: str) -> None:
    """What stands in the table of blocks is every option that a block of the plan has."""
    plan = shipped(name)
    expected = {(m.word, tuple(facts_of(m.block.model_dump(mode="json")))) for m in mixers(plan)}
    shown = {(r[0].strip("`"), tuple(re.findall(r"(\w+) `(.*?)`", r[4]))) for r in tables(name)["block"]}

    assert expected == shown


def mixers(plan: Plan) -> Iterator[Any]:
    """Every block at its place."""
    for layer in plan.layers:
        yield from (mixer for _, mixer in layer.mixers())


def facts_of(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Options as text: groups in braces, words of YAML."""
    for key, value in options.items():
        if value is not None:
            yield key, text_of(value)


def text_of(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(": ".join(pair) for pair in facts_of(value)) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(text_of, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_index() -> None:
    """Every spec in a line, with its size and the cache of its longest text."""
    plans = [shipped(name) for name in shipped_specs()]
    rows = re.findall(
        r"^\| \[(.*?)\]\((.*?)\) \| (.*?) \| (.*?) \| .*? \| (.*?) \| (.*?) \|",
        index_page(plans),
        re.MULTILINE,
    )

    for plan, (name, file, layers, parameters, held, longest) in zip(plans, rows, strict=True):
        most = plan.sizes.max_position_embeddings
        assert (plan.name, f"{plan.name}.md") == (name, file)
        assert [len(plan.layers), plan.parameter_count] == [whole(layers), whole(parameters)]
        assert plan.cache_bytes(most or DEFAULT_CONTEXT) == whole(held)
        assert longest == (f"{most:,}" if most else "open")


# ---------------------------------------------------------------- sentences


def riders(pattern: str, **changes: Any) -> Plan:
    """A plan with this pattern."""
    return composer.resolve(composer.read_spec(RIDERS.replace("PATTERN", f'"{pattern}"'), **changes))


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("near", "The only layer is `near`."),
        ("near×5", "All 5 layers are `near`."),
        ("near×5, far", "6 layers: `near` 5 times, then `far`."),
        ("(far, near×3)×9", "36 layers: `far`, then `near` 3 times; these 4 stand 9 times."),
        ("(near×5, far)×2, near×2", "14 layers: `near` 5 times, then `far`; these 6 stand twice, and the first 2 of "
         "them once more."),
        ("near×2+rider", "All 2 layers are `near`. `rider` rides on layer 1: it runs before the layer, and what it "
         "returns is added to what the layer reads first, not to the stream."),
    ],
)  # fmt: skip
def test_a_pattern_in_a_sentence(pattern: str, sentence: str) -> None:
    """What the layers are, in the fewest words."""
    assert sentence in model_page(riders(pattern)).split("\n\n")


def test_an_irregular_pattern_in_a_sentence() -> None:
    """Where runs are many, the rarer words are told by their places."""
    page = model_page(riders("near×3, far, near×2, far, near×4, far, near, far, near×5, feed"))

    assert "20 layers: `near`, but `far` at 3, 6, 11 and 13 and `feed` at 19." in page


def test_formulas() -> None:
    """What a layer and its guest do to the stream."""
    page = model_page(riders("near×2+rider"))

    assert "near   x = x + near(rms(x))\n" in page
    assert "rider  y = x\n       y = y + far(rms(y))\n       y = y + feed(rms(y))\n       rider = y\n" in page


SHARED = {
    "blocks.rider.share": "{copies: 2}",
    "blocks.rider.reads": "[stream, embedding]",
    "blocks.rider.out": "linear",
    "blocks.rider.adapters": "{feed.gate_up: {rank: 2}}",
    "blocks.feed.gated": "true",
    "blocks.rider.branches": "[{norm: rms, mix: far, residual: 0}, {norm: rms, mix: feed, residual: 0}]",
}


def sharing() -> Plan:
    """Riders that take two copies in turn, in layers 1, 3 and 5."""
    return riders("(near×2+rider)×3", set=[f"{path}={value}" for path, value in SHARED.items()])


def test_shared_weights_in_a_sentence() -> None:
    """Who rides where, how many sets of weights there are, and that memory is not shared."""
    page = model_page(sharing())

    assert "`rider` rides on layers 1, 3 and 5: it runs" in page
    assert (
        "The 3 uses of `rider` have 2 sets of weights, used in turn; what is remembered is kept for each use."
        in page
    )
    assert ["copy 0", "copy 1", "copy 0"] == re.findall(r"`rider` \((.*?)\)", page)
    assert "rider  y = x and the embedding, side by side\n       y = far(rms(y))\n" in page
    assert "rider = out(y)\n" in page


def test_shared_weights_count_once_and_are_used_again() -> None:
    """Copy 0 has two uses, so the used parameters are more by one copy."""
    plan = sharing()
    copy = sum(p.count for key, p in plan.parameters().items() if key.startswith("shared.rider.0."))
    (total,) = re.findall(r"^\| \*\*all\*\* .*$", model_page(plan), re.MULTILINE)

    assert [plan.parameter_count, plan.parameter_count + copy] == [
        whole(n) for n in re.findall(r"[\d,]+", total)
    ]


def test_stored_names() -> None:
    """A tensor under several names, a part of one, and one that is turned are told apart."""
    rows = {row[0].strip("`"): row[2] for row in tables("zamba2-1.2b")["parameter"]}

    assert "`model.layers.0.mamba.in_proj.weight`, part 1 of 5" == rows["layers.0.mixer.in.z.weight"]
    assert (
        "`model.layers.0.mamba.conv1d.weight`, part 1 of 3, squeeze" == rows["layers.0.mixer.conv.x.weight"]
    )
    assert rows["shared.shared-attn.0.norms.attn.weight"].endswith(
        "input_layernorm.weight`, also under 5 other names"
    )
