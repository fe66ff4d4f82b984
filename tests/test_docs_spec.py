"""The guide to specs: its examples resolve, and it names every key there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import composer
import composer.pattern
from composer.spec import BlockEntry, Branch, Draw, Head, Override, Spec

GUIDE = (Path(__file__).parents[1] / "docs" / "writing-a-spec.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example-{n}" for n in range(len(EXAMPLES))])
def test_examples_resolve(example: str) -> None:
    """Every YAML block of the guide is a whole spec."""
    plan = composer.resolve(composer.read_spec(example))

    assert plan.parameter_count > 0


@pytest.mark.parametrize("model", [Spec, Branch, BlockEntry, Override, Head, Draw])
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
