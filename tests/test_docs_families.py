"""The pages about families: made from the files as they are, and examples that are read."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path
from typing import get_args

import yaml
from pydantic import TypeAdapter

from composer.layout.entries import Entry, check_parts, rows_of
from composer.layout.family import FamilyFile
from composer.layout.ops import OpName
from composer.layout.parser import CALLS

DOCS = Path(__file__).parents[1] / "docs"


def test_what_families_read_is_up_to_date() -> None:
    """The page is what the files say; COMPOSER_GOLDEN=1 writes it anew."""
    expected = runpy.run_path(str(DOCS / "make_families.py"))["page"]()
    if os.environ.get("COMPOSER_GOLDEN") == "1":
        (DOCS / "families.md").write_text(expected, encoding="utf-8")

    assert expected == (DOCS / "families.md").read_text(encoding="utf-8")


def test_the_form_is_described_whole() -> None:
    """Every key of a family file, every operation and every function has its line; the example is read."""
    text = (DOCS / "writing-a-family.md").read_text(encoding="utf-8")
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])["weights"]
    rows = check_parts(TypeAdapter(dict[str, Entry]).validate_python(example))
    named = set(re.findall(r"`([a-z]+)`", "\n".join(re.findall(r"^\|([^|]*)\|", text, re.MULTILINE))))

    assert 12 == sum(len(list(rows_of(ours, entry))) for ours, entry in rows.items())
    assert set(FamilyFile.model_fields) <= named
    assert all(name in text for name in (*get_args(OpName), *CALLS))
