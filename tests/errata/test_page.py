"""The page of errata: its numbers are those of the tests, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from composer.cli import main

from .beside import RIGHT, apart, ids, stepwise
from .test_state_spaces import slow

PAGE = (Path(__file__).parents[2] / "docs" / "errata.md").read_text(encoding="utf-8")


def test_numbers_of_the_page() -> None:
    """Every number has a test and every test its number; the version is the one that is installed."""
    told = [int(number) for number in re.findall(r"^### (\d+)\. ", PAGE, re.MULTILINE)]
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert [*range(1, len(told) + 1)] == told
    assert set(told) == {
        int(number) for number in re.findall(r"^def test_errata_(\d+)_", tests, re.MULTILINE)
    }
    assert f"version {transformers.__version__}." in PAGE


def test_following_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the page, with a bound that shows: its model is that of transformers, scan and step."""
    model = slow(time_step_min=0.2)
    model.save_pretrained(tmp_path / "checkpoint")
    monkeypatch.chdir(tmp_path)
    command, code = re.findall(r"`arch-composer (import .*?)`|```python\n(.*?)```", PAGE, re.DOTALL)
    assert 0 == main(command[0].split())
    names: dict[str, Any] = {}
    exec(code[1].replace("0.001", "0.2"), names)

    followed = names["model"]
    assert torch.float32 == followed.dtype
    assert apart(followed(ids()).logits, model(ids(), use_cache=False).logits) < RIGHT
    assert apart(stepwise(followed, ids()), stepwise(model, ids())) < RIGHT
