"""No Python knows a model family, and no key or option is there that no model uses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from composer.layout.family import families

ROOT = Path(__file__).parents[1]
PYTHON = sorted(path for folder in ("composer", "plugins") for path in (ROOT / folder).rglob("*.py"))
# With those that are not read here yet: a name is no better for that.
FAMILIES = {
    *families(),
    "mixtral",
    "qwen",
    "falcon",
    "phi",
    "nemotron",
    "jamba",
    "bamba",
    "deepseek",
    "bloom",
}
STEMS = {name.rstrip("0123456789") for name in FAMILIES}
WORDS = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*")
ALLOWED = {
    # The kind of block is called so by its authors' paper; the family of models is called after the block.
    ("plugins/composer_mamba2/__init__.py", "mamba2"),
    ("plugins/composer_mamba2/module.py", "mamba2"),
    ("plugins/composer_mamba2/options.py", "mamba2"),
    # A word of a pattern in the example of a message; any word would do.
    ("composer/cli/typed.py", "mamba"),
    ("composer/pattern/parse.py", "mamba"),
    # A rope type of published configurations is called after a model.
    ("composer/options.py", "llama3"),
    ("composer/nn/rope.py", "llama3"),
    # The model that is shipped with its weights, in examples of the command line.
    *(
        (f"composer/cli/{verb}.py", "mistral")
        for verb in ("export", "generate", "init", "show", "train", "verify")
    ),
}


def written(tree: ast.Module) -> Iterator[str]:
    """Every identifier and every string of a module that is no docstring."""
    docs = {id(docstring(node)) for node in ast.walk(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(found := getattr(node, field, None), str):
                yield found


def docstring(node: Any) -> ast.expr | None:
    """The docstring that a node begins with."""
    body = getattr(node, "body", None)
    first = body[0] if isinstance(body, list) and body else None
    return first.value if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else None


def named(text: str) -> set[str]:
    """The words of a text that are families, with whatever number stands behind them."""
    words = {word.lower() for word in WORDS.findall(text)}
    return {word for word in words if word.rstrip("0123456789") in STEMS}


def test_no_python_names_a_family() -> None:
    """Families are data: neither an identifier nor a string names one, but for the few above."""
    found = {
        (path.relative_to(ROOT).as_posix(), word)
        for path in PYTHON
        for text in written(ast.parse(path.read_text(encoding="utf-8")))
        for word in named(text)
    }

    assert set() == found - ALLOWED
    assert set() == ALLOWED - found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class OPTModel: ...", {"opt"}),
        ("opt_layers = 1", {"opt"}),
        ("options = {'Zamba2ForCausalLM': 1}", {"zamba2"}),
        ("from x import mistral_window as w", {"mistral"}),
        ("def f(llama: int) -> None:\n    'Only a docstring may say gemma.'", {"llama"}),
        ("adopted = optional", set()),
    ],
)
def test_the_guard_sees(text: str, words: set[str]) -> None:
    """Names in any spelling are found, in classes, arguments, imports and strings; parts of words are not."""
    assert words == {word for each in written(ast.parse(text)) for word in named(each)}
