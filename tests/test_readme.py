"""The README is run: its spec is checked, its commands print what stands there, its Python works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(match[1], match[2]) for match in FENCE.finditer(README)]


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds the README's spec and nothing else."""
    (tmp_path / "my-model.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.splitlines()[0][:40])
def test_commands_print_what_stands_there(folder: Path, block: str) -> None:
    """Every line shown after a command is a line that it prints; `...` leaves the rest out."""
    command, *shown = block.splitlines()
    done = subprocess.run(
        command.removeprefix("$ ").replace("arch-composer", f"{shlex.quote(sys.executable)} -m composer"),
        shell=True,
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    printed = (done.stdout + done.stderr).splitlines()
    expected = shown[: shown.index("...")] if "..." in shown else shown or printed

    assert expected == printed[: len(expected) if "..." in shown else None]
    assert done.returncode == int(" check " in command)


def test_python_runs(folder: Path) -> None:
    """The first Python block runs as it stands and leaves a folder that loads."""
    done = subprocess.run(
        [sys.executable, "-c", blocks("python")[0]], cwd=folder, capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert (folder / "my-folder" / "model.safetensors").is_file()


def test_every_verb_is_named() -> None:
    """The table of verbs is the program's own list."""
    from composer.cli.verbs import VERBS

    named = set(re.findall(r"^\| `arch-composer (\w+)", README, re.MULTILINE))

    assert set(VERBS) == named


def test_code_comes_early_and_the_page_is_short() -> None:
    """Something to run by line 20, and a page that is read to the end."""
    assert README[: README.index("```")].count("\n") < 20
    assert README.count("\n") <= 130


@pytest.mark.parametrize("page", ["heads", "cache", "checkpoints", "errata", "writing-a-spec", "prove"])
def test_the_pages_that_readers_look_for_are_linked(page: str) -> None:
    """What is easily missed in a folder of many pages."""
    assert f"](docs/{page}.md)" in README


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link of the pages at the top is a file or folder of the repository."""
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]

    assert [] == [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_links_of_the_docs_lead_somewhere(page: Path) -> None:
    """The same of every page in docs, from where it stands."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if not link.startswith("http")]

    assert [] == [link for link in links if not (page.parent / link).exists()]
