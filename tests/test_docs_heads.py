"""docs/heads.md: its examples run, its tables are what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from composer.heads import TAKES
from composer.layout.family import families

PAGE = (Path(__file__).parents[1] / "docs" / "heads.md").read_text(encoding="utf-8")
TITLES = {
    "Mistral": "mistral", "Ministral": "ministral", "Llama": "llama", "GPT-2": "gpt2", "Gemma 2": "gemma2",
    "OPT": "opt", "Zamba2": "zamba2", "Mamba2": "mamba2",
}  # fmt: skip


def test_the_examples_run() -> None:
    """All of the page, in order."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    with torch.no_grad():
        exec(compile(code, "heads.md", "exec"), {})  # runs the page


def test_every_head_and_option_is_there() -> None:
    """Each in a table of its own."""
    rows = "".join(line for line in PAGE.splitlines(keepends=True) if line.startswith("|"))
    names = {name for options in TAKES.values() for name in options}

    assert [] == [name for name in (*TAKES, *names) if f"`{name}`" not in rows]


def test_which_family_has_which_head() -> None:
    """As its file says."""
    table = re.findall(
        r"^\| (.+?) \| (.+) \|$", PAGE.partition("heads that transformers has")[2], re.MULTILINE
    )
    said = {
        TITLES[name]: text
        for names, text in table
        if names in PAGE
        for name in names.split(", ")
        if name in TITLES
    }
    expected = {
        "all": set(TAKES),
        "all but question answering": {*TAKES} - {"question-answering"},
        "all but token classification": {*TAKES} - {"token-classification"},
        "base, causal-lm, sequence classification": {"base", "causal-lm", "sequence-classification"},
        "base, causal-lm": {"base", "causal-lm"},
    }

    assert {name: set(family.file.heads) for name, family in families().items()} == {
        name: expected[text] for name, text in said.items()
    }
