"""The guide to specs: its examples resolve, and it names every key there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import composer
import composer.pattern
from composer.block import Norm
from composer.spec import Adapter, BlockEntry, Branch, Draw, Embedding, Head, Override, Positions, Share, Spec

GUIDE = (Path(__file__).parents[1] / "docs" / "writing-a-spec.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example-{n}" for n in range(len(EXAMPLES))])
def test_examples_resolve(example: str) -> None:
    """Every YAML block of the guide is a whole spec."""
    plan = composer.resolve(composer.read_spec(example))

    assert plan.parameter_count > 0


@pytest.mark.parametrize(
    "model", [Spec, Norm, Branch, BlockEntry, Share, Adapter, Override, Embedding, Positions, Head, Draw]
)
def test_every_key_is_explained(model: type[composer.Block]) -> None:
    """A key that the guide does not mention in code does not exist for its readers."""
    code = " ".join(re.findall(r"`[^`]+`|```yaml.*?```", GUIDE, re.DOTALL))

    assert [] == [name for name in model.model_fields if not re.search(rf"\b{name}\b", code)]


def test_the_pattern_table_expands_as_it_says() -> None:
    """The left column of the pattern table parses."""
    rows = re.findall(r"^\| `([^`]+)`[^|]* \| ", GUIDE.split("## Branches")[0], re.MULTILINE)

    lengths = {row: composer.pattern.parse(row).length() for row in rows}
    assert {"full": 1, "swa×5, full": 6, "(swa×2, full)×4": 12, "swa×6+memory": 6} == {
        row: lengths[row] for row in list(lengths)[:4]
    }


def test_the_examples_do_what_is_said_of_them() -> None:
    """Words of layers, uses of copies and numbers of layers that the guide mentions."""
    plans = [composer.resolve(composer.read_spec(example)) for example in EXAMPLES]
    plan = {each.name: each for each in plans}
    tracks, shared, other = plan["two-rhythms"], plan["two-shared-copies"], plan["some-layers-differ"]
    windows = [layer.host.mixers[0].block.model_dump()["sliding_window"] for layer in other.layers]

    assert ("full/wide", 16) == (tracks.layers[4].word, len(tracks.layers))
    assert ((2, 0), (5, 1), (8, 0), (11, 1)) == shared.uses["shared-attn"]
    assert shared.used_parameter_count > shared.parameter_count
    assert [None, 4096, 4096, 16384, 4096] == windows[:5]
    assert [8192, 8192, 8192, None, 4096] == windows[8:13]
    assert ("mlp",) == tuple(plan["one-mlp-for-all"].shared)
