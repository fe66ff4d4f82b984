"""A plan in numbers and as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

import composer
from composer.describe import plan_data, plan_text, summarise, summary_text, units
from composer.describe.report import table

TINY = """
composer: 1
name: tiny
vocab_size: 64
hidden_size: 32
max_position_embeddings: 128
norm: {kind: layer, eps: 1.0e-5}
layer: [{norm: layer, mix: mixer}, {norm: layer, mix: mlp}]
pattern: full, swa×3, full, swa×3+aside
blocks:
  full: {kind: attention, num_attention_heads: 4, num_key_value_heads: 2}
  swa: {extends: full, sliding_window: 16}
  aside: {branches: [{norm: layer, mix: swa, residual: 0.0}]}
  mlp: {kind: mlp, intermediate_size: 64, hidden_act: silu, gated: true}
overrides:
  - {at: 2, set: {sliding_window: 4}}
metadata: {parameters: 12345}
"""


@pytest.fixture(scope="module")
def plan() -> composer.Plan:
    return composer.resolve(composer.read_spec(TINY))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (9994, "9.99 k"), (9996, "10.0 k"), (902_272, "902 k"),
     (999_499, "999 k"), (999_500, "1.00 M"), (7_241_732_096, "7.24 B"), (10**15, "1.00 Q"), (10**19, "10000 Q")],
)  # fmt: skip
def test_counts(number: int, text: str) -> None:
    """Three digits, and the scale that people say."""
    assert text == units.count(number)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (14_483_464_192, "14.5 GB"), (65_536, "65.5 kB")]
)
def test_amounts(number: int, text: str) -> None:
    """A prefix is a power of a thousand."""
    assert text == units.amount(number, "B")


def test_layers_that_are_equal_stand_once(plan: composer.Plan) -> None:
    """Runs of equal layers are folded; an override or a guest makes a layer of its own."""
    rows = [(row.first, row.last, row.word, row.guests) for row in summarise(plan).rows]

    assert [
        (0, 0, "full", ()),
        (1, 1, "swa", ()),
        (2, 2, "swa", ()),
        (3, 3, "swa", ()),
        (4, 4, "full", ()),
        (5, 6, "swa", ()),
        (7, 7, "swa", ("aside",)),
    ] == rows


def test_by_hand(plan: composer.Plan) -> None:
    """Every number of a small model, worked out on paper."""
    summary = summarise(plan, context=100, batch=3, dtype="float32")
    attention, mlp, norm = 32 * 32 * 2 + 32 * 16 * 2, 32 * 64 * 3, 64
    full, guest = summary.rows[0], summary.rows[-1]

    assert attention + mlp + 2 * norm == full.parameters
    assert 2 * (attention + mlp) + 4 * 32 * 100 == full.flops
    assert 3 * 100 * 2 * 16 * 4 == full.cache_bytes
    assert 2 * attention + mlp + 3 * norm == guest.parameters
    assert 2 * (2 * attention + mlp) + 2 * 4 * 32 * 16 == guest.flops
    assert 3 * 2 * 16 * 2 * 16 * 4 == guest.cache_bytes
    assert 8 * full.parameters + attention + norm + 2 * 64 * 32 + norm == summary.parameters
    assert 4 * summary.parameters == summary.weight_bytes


def test_parts_add_up(plan: composer.Plan) -> None:
    """Parts, and rows with what surrounds them, come to the numbers of the whole."""
    summary = summarise(plan, context=100)
    outside = sum(
        part.parameters for part in summary.parts if part.name in ("embedding", "final norm", "head")
    )
    each = [(row.last - row.first + 1, row) for row in summary.rows]

    assert summary.parameters == sum(part.parameters for part in summary.parts)
    assert summary.parameters == outside + sum(count * row.parameters for count, row in each)
    assert summary.cache_bytes == sum(count * row.cache_bytes for count, row in each)
    assert summary.flops == 2 * 64 * 32 + sum(count * (row.flops or 0) for count, row in each)


def test_defaults(plan: composer.Plan) -> None:
    """The context is by default what the model is meant for, or 4096 where that is open."""
    endless = composer.resolve(composer.read_spec(TINY, set=["max_position_embeddings=null"]))

    assert (128, 4096) == (summarise(plan).context, summarise(endless).context)


def test_window_larger_than_the_context(plan: composer.Plan) -> None:
    """A cache is never larger than the text that is to fit into it."""
    full, window = (summarise(plan, context=8).rows[n].cache_bytes for n in (0, 1))

    assert full == window == 8 * 2 * 16 * 2


def test_what_nobody_knows(plan: composer.Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a block does not say what it costs, neither its layer nor the model has a number."""
    monkeypatch.setattr(type(plan.layers[0].host.mixers[1].block), "flops", lambda self, site, context: None)
    text = summary_text(summarise(plan))

    assert {None} == {summarise(plan).flops, *(row.flops for row in summarise(plan).rows)}
    assert "FLOPs/token   unknown: a block does not say" in text
    assert 7 == text.count("      unknown ")


def test_the_text(plan: composer.Plan) -> None:
    """What `show` prints: facts, the layers, the parts."""
    assert TEXT == summary_text(summarise(plan, context=100, batch=2))


TEXT = """\
tiny: 8 layers, causal-lm
parameters    82,048 (82.0 k); published are 12,345
weights       164,096 bytes (164 kB) in bfloat16
FLOPs/token   196,096 (196 kFLOP) after 100 tokens
cache         38,400 bytes (38.4 kB) for 100 tokens, 2 rows in bfloat16

layers  word       blocks                                                     parameters  FLOPs/token  cache bytes
0       full       full: attention; mlp                                            9,344       31,232       12,800
1       swa        swa: attention, window 16; mlp                                  9,344       20,480        2,048
2       swa        swa: attention, window 4; mlp                                   9,344       18,944          512
3       swa        swa: attention, window 16; mlp                                  9,344       20,480        2,048
4       full       full: attention; mlp                                            9,344       31,232       12,800
5..6    swa        swa: attention, window 16; mlp                                  9,344       20,480        2,048
7       swa+aside  swa: attention, window 16; mlp; swa: attention, window 16      12,480       28,672        4,096

part                 kind       parameters   share
embedding            embedding       2,048   2.5 %
full                 attention       6,144   7.5 %
mlp                  mlp            49,152  59.9 %
swa                  attention      21,504  26.2 %
norms of the layers  norm            1,088   1.3 %
final norm           norm               64   0.1 %
head                 causal-lm       2,048   2.5 %
total                               82,048"""


def test_names_cannot_steer_the_terminal() -> None:
    """Control characters of a name are shown, wide letters keep the columns straight."""
    lines = list(table(("a", "b"), "<>", iter([("\x1b[2J", "1"), ("模型", "22")])))

    assert ["a         b", "\\x1b[2J   1", "模型     22"] == lines


def test_plan_as_text(plan: composer.Plan) -> None:
    """The text is the data as YAML, and the data is JSON."""
    data = plan_data(plan)

    assert data == yaml.safe_load(plan_text(plan)) == json.loads(json.dumps(data))
    assert [0, 1, 2, 3, 4, "5..6", 7] == [layer["at"] for layer in data["layers"]]


def test_plan_holds_every_tensor(plan: composer.Plan) -> None:
    """Every parameter of the plan stands in its text with its shape."""
    data = plan_data(plan)
    told: dict[str, Any] = dict(data["parameters"])
    for layer in data["layers"]:
        first, _, last = str(layer["at"]).partition("..")
        for index in range(int(first), int(last or first) + 1):
            told |= {f"layers.{index}.{name}": text for name, text in layer["parameters"].items()}
    shapes = {name: " x ".join(map(str, p.shape)) for name, p in plan.parameters().items()}

    assert shapes == {name: text.partition(",")[0] for name, text in told.items()}


def test_summary_as_json(plan: composer.Plan) -> None:
    """The same numbers for a program."""
    summary = summarise(plan)
    data = json.loads(json.dumps(summary.to_json()))

    assert summary.parameters == data["parameters"]
    assert [row.cache_bytes for row in summary.rows] == [row["cache_bytes"] for row in data["rows"]]
