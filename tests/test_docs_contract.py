"""docs/contract.md is what the code says, and promises everything that plugins use."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest
import torch

import composer
from composer.block import API
from composer.nn import At, Step

ROOT = Path(__file__).parents[1]
MADE = runpy.run_path(str(ROOT / "docs" / "make_contract.py"))
PAGE = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")


def test_the_page_is_fresh() -> None:
    """`make docs` would change nothing."""
    assert MADE["page"]() == PAGE


@pytest.mark.parametrize("door", MADE["AUTHORS"])
def test_what_is_promised_is_public(door: str) -> None:
    """Every name stands in the `__all__` of its door, and has a section."""
    names = MADE["AUTHORS"][door]

    assert {*names} <= {*import_module(door).__all__}
    assert names == re.findall(r"^### `(\w+)`$", PAGE.split(f"## `{door}`\n")[1].split("\n## ")[0], re.M)


def test_what_plugins_use_is_promised() -> None:
    """Of ours and of the examples: what they are built from is on the page."""
    blocks = [path for folder in ("plugins", "examples/plugins") for path in (ROOT / folder).glob("**/*.py")]
    used = {
        (node.module, alias.name)
        for path in blocks
        if not {"tests", "benchmark.py"} & {path.name, *path.parts}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and not node.level and node.module in MADE["AUTHORS"]
        for alias in node.names
    }

    assert ("composer.nn", "LinearGroup") in used
    assert set() == {(door, name) for door, name in used if name not in MADE["AUTHORS"][door]}


@pytest.mark.parametrize("name", MADE["MODELS"])
def test_what_tests_of_plugins_call_is_public(name: str) -> None:
    """Each name of the table takes the arguments that stand there."""
    call = ast.parse(MADE["MODELS"][name], mode="eval").body
    assert isinstance(call, ast.Call)
    signature = inspect.signature(getattr(composer, name))

    assert name in composer.__all__
    signature.bind(*call.args, **{str(each.arg): each.value for each in call.keywords})


def test_attributes_are_there() -> None:
    """Those that no line of a class declares are promised by the page alone."""
    step = Step(torch.zeros(1, 2, 3), (0,), (2,))

    assert [] == [name for name in MADE["ATTRIBUTES"]["Step"] if not hasattr(step, name)]
    assert [] == [name for name in MADE["ATTRIBUTES"]["At"] if not hasattr(At(step), name)]


def test_everything_has_a_sentence() -> None:
    """No method is listed without one, and no class."""
    assert [] == re.findall(r"^- `.*`: *$", PAGE, re.M)
    assert [] == [
        f"{door}.{name}"
        for door, names in MADE["AUTHORS"].items()
        for name in names
        if isinstance(getattr(import_module(door), name), type)
        and not getattr(import_module(door), name).__doc__
    ]


def test_versions_and_times_are_the_code_s() -> None:
    """Numbers in sentences are filled in, not typed."""
    assert f"version **{API}**" in PAGE
    assert "{" not in re.sub(r"```.*?```|`[^`]*`", "", PAGE, flags=re.DOTALL)
