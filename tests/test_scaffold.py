"""The life of a plugin that `plugins new` writes: a wheel, a fresh environment, a model, and the host as it was."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from composer.cli.scaffold import SUMMARIES

from .prove import FULL, cases
from .test_packaging import ROOT, build

TEMPLATES = list(SUMMARIES)[: cases(1, 9)]
KIT = [] if FULL else ["--check", "parameters", "--check", "chunks", "--check", "packing"]
"""A few checks of the kit; all of them where tests run at their full counts."""

HERE = "import composer, my_gate; print(composer.__file__); print(my_gate.__file__)"
PAGE = """
import composer
from composer.describe.page import model_pages
plan = composer.resolve(composer.read_spec("my-gate-tiny"))
print(sorted(model_pages([plan]).items())[1][1])
"""
AGAIN = """
import composer, torch
model = composer.load("run/checkpoint").eval()
composer.save(model, "again", layout="composer")
ids = torch.arange(24).reshape(2, 12)
with torch.no_grad():
    print(torch.equal(model(ids).logits, composer.load("again").eval()(ids).logits))
"""


class Stranger:
    """An environment outside the repository, with the host and one plugin installed from wheels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
        self.python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.site = Path(self.run("-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
        # Torch and the like from the environment of the tests; an editable host there is not seen through this.
        (self.site / "outside.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")

    def install(self, wheel: Path) -> None:
        """A wheel, and nothing it needs: by pip, or where there is none by unpacking."""
        if importlib.util.find_spec("pip"):
            options = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
            command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", *options]
            subprocess.run([*command, str(wheel)], check=True)
        else:
            zipfile.ZipFile(wheel).extractall(self.site)

    def run(self, *words: str) -> str:
        """What Python prints there; it ends well and says nothing on stderr that is an error."""
        known = {key: os.environ[key] for key in ("PATH", "HOME", "SYSTEMROOT") if key in os.environ}
        done = subprocess.run(
            [str(self.python), *words],
            cwd=self.folder,
            env={**known, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def composer(self, *words: str) -> str:
        """What a verb prints there."""
        return self.run("-m", "composer", *words)

    def host(self) -> str:
        """What the host consists of there."""
        files = sorted(path for path in (self.site / "composer").rglob("*") if path.suffix != ".pyc")
        texts = (path.read_bytes() for path in files if path.is_file())
        return hashlib.sha256(b"\0".join(texts)).hexdigest()


@pytest.fixture(scope="module", params=TEMPLATES)
def stranger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """The environment in which a scaffold is written and installed."""
    there = Stranger(tmp_path_factory.mktemp("stranger"))
    there.install(build("build_wheel", ROOT, there.folder))
    assert "my-gate\n" == there.composer("plugins", "new", "my-gate", "--template", request.param)
    there.install(build("build_wheel", there.folder / "my-gate", there.folder))
    return there


def squeezed(text: str) -> str:
    """Without the spaces that align columns."""
    return re.sub(" +", " ", text)


def test_a_scaffold_lives(stranger: Stranger) -> None:
    """It is listed, shown, in the schema and the docs; it trains, generates, saves, loads and verifies."""
    before, there = stranger.host(), stranger
    texts = there.folder / "text"
    texts.mkdir()
    for name in ("block", "spec", "errors", "plan"):
        (texts / f"{name}.py").write_bytes((ROOT / "composer" / f"{name}.py").read_bytes())

    assert str(there.site) in there.run("-c", HERE).splitlines()[0]
    assert "my-gate my-gate 0.1.0 installed my-gate my-gate-tiny" in squeezed(there.composer("plugins"))
    assert '"my-gate"' in json.dumps(json.loads(there.composer("schema"))["$defs"]["block my-gate"])
    assert "my-gate, of plugin my-gate, my-gate 0.1.0" in there.composer("plugins", "show", "my-gate")
    assert "my-gate" in there.composer("show", "my-gate-tiny")
    assert "# my-gate-tiny" in there.run("-c", PAGE)
    assert " 0 failed" in there.composer("plugins", "test", "my-gate", *KIT)
    quick = ["--steps", "3", "--batch-size", "2", "--context", "32"]
    there.composer("fmt", "--check", "my-gate/src/my_gate/specs/my-gate-tiny.yaml")
    there.composer("train", "my-gate-tiny", "--text", "text", "--out", "run", *quick)
    assert there.composer("generate", "run/checkpoint", "class", "--max-new-tokens", "5").strip()
    assert "True" == there.run("-c", AGAIN).strip()
    assert ", 0 wrong" in there.composer("verify", "run/checkpoint", "--tokens", "20")
    assert before == there.host()


def test_its_own_tests_and_tools_are_content(stranger: Stranger) -> None:
    """Its tests pass where it is installed; linter, formatter and type checker have nothing to say."""
    package = stranger.folder / "my-gate"
    commands = [
        ["pytest", "-q", "-p", "no:cacheprovider", *([] if FULL else ["tests/test_model.py"])],
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "."],
        *([["mypy", "--cache-dir", os.devnull]] if FULL else []),  # it reads all of torch
    ]
    for command in commands:
        done = subprocess.run(
            [str(stranger.python), "-m", *command], cwd=package, capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, done.stdout + done.stderr
