"""The list of error codes: every one that the host can raise is provoked by a test beside this one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\bE[1-9]\d\d\b")


def codes_in(folder: Path) -> dict[str, set[str]]:
    """Each code with the files that name it in a string; docstrings and comments raise and assert nothing."""
    found: dict[str, set[str]] = {}
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.yaml")]):
        if path != Path(__file__):
            for code in CODE.findall("\n".join(strings(path))):
                found.setdefault(code, set()).add(path.relative_to(ROOT).as_posix())
    return found


def strings(path: Path) -> Iterator[str]:
    """What a file says to the program: its scalars, or its strings but those that are a whole statement."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        yield from (token.value for token in yaml.scan(text) if isinstance(token, yaml.ScalarToken))
        return
    nodes = list(ast.walk(ast.parse(text)))
    said = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


RAISED = codes_in(ROOT / "composer")


def test_every_code_is_asserted() -> None:
    """A code without a test is a sentence that nobody has read."""
    asserted = codes_in(ROOT / "tests" / "errors")

    assert {} == {code: files for code, files in RAISED.items() if code not in asserted}


def test_only_what_runs_counts(tmp_path: Path) -> None:
    """A comment or a docstring asserts no code."""
    file = tmp_path / "one.py"
    file.write_text('"""E101."""\nx = 1  # E102\nassert f"{x} [E103]" == "E104"\n', encoding="utf-8")

    assert {"E103", "E104"} == set(CODE.findall("\n".join(strings(file))))


def test_plugins_raise_no_codes() -> None:
    """Codes belong to the host; a block says what is wrong in words, and the host adds code and place."""
    assert {} == codes_in(ROOT / "plugins")
