"""docs/cli.md: the help in it is what the verbs print, its commands give what stands there."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from composer.cli import main
from composer.cli.plugins import Plugins
from composer.cli.verbs import VERBS

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
BLOCK = re.compile(r"^```console\n\$ arch-composer (.*)\n((?:.*\n)*?)```$", re.MULTILINE)
COMMANDS = [match[1] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def printed(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command prints on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "120")
    assert 0 == main(shlex.split(command))
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command prints what stands below it; COMPOSER_GOLDEN=1 writes that anew."""
    out, page = printed(command, capsys, monkeypatch), PAGE.read_text(encoding="utf-8")
    if os.environ.get("COMPOSER_GOLDEN") == "1":
        block = f"```console\n$ arch-composer {command}\n"
        head, _, rest = page.partition(block)
        page = f"{head}{block}{out}{rest[rest.index('```') :]}"
        PAGE.write_text(page, encoding="utf-8")

    assert {command: out}.items() <= {match[1]: match[2] for match in BLOCK.finditer(page)}.items()


def test_every_verb_is_there() -> None:
    """The page shows the help of each verb, and of those that `plugins` has."""
    every = [*VERBS, *(f"plugins {verb}" for verb in Plugins.names)]

    assert sorted(f"{verb} --help" for verb in every) == sorted(c for c in COMMANDS if c.endswith("--help"))


def test_every_variable_is_there() -> None:
    """Whatever the package reads from the environment under its own name is in the table."""
    sources = (path.read_text(encoding="utf-8") for path in (PAGE.parents[1] / "composer").rglob("*.py"))
    read = {name for text in sources for name in re.findall(r'"(COMPOSER_[A-Z_]+)"', text)}

    assert read == set(
        re.findall(r"^\| `(COMPOSER_[A-Z_]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    )
