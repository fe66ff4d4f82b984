"""Mutants of specs: written, read, decided, described, and built where they are small."""

from __future__ import annotations

import io
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml

import composer
from composer.cli import main
from composer.describe import plan_text, summarise, summary_text
from composer.plan import Plan
from composer.shipped import specs_folder

from . import judge, mutate, plausible

HERE = Path(__file__).parent / "specs"
SEEDS = [*sorted(HERE.glob("*.yaml")), *sorted(specs_folder().glob("*.yaml"))]
MOST_SHOWN = 100  # layers; every one may be different, and the text is as long as the model is deep
MOST_BUILT = 16
MOST_RUN = 50_000  # parameters


class Specs:
    """One folder in which each mutant takes the place of the one before it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.set = folder, folder / "mutant.yaml", list[str]()
        shutil.copytree(HERE, folder, dirs_exist_ok=True)
        shutil.copy(HERE / "base.yaml", self.file)
        odd_files(folder, ".yaml")

    def write(self, draw: Random) -> None:
        """One mutant; a tenth of them are sound and have a damaged ancestor, a tenth have assignments."""
        self.set = assignments(draw) if draw.random() < 0.1 else []
        base, child = HERE / "base.yaml", HERE / "child.yaml"
        if draw.random() < 0.1:
            above, text = self.mutant(draw, base), child.read_bytes()
        else:
            above, text = base.read_bytes(), self.mutant(draw, draw.choice(SEEDS))
        (self.folder / base.name).write_bytes(above)
        self.file.write_bytes(text)

    def mutant(self, draw: Random, seed: Path) -> bytes:
        raw, data = sound(seed)
        if draw.random() < 0.25:
            return mutate.damaged(draw, raw, 2)
        edited = draw.choice([mutate, plausible]).edited(draw, data)
        written = mutate.as_yaml(draw, edited)
        return mutate.damaged(draw, written, 2) if draw.random() < 0.1 else written

    def run(self) -> None:
        """Everything that is done with a spec before there are weights."""
        plan = composer.resolve(composer.read_spec(self.file, set=self.set))
        counted(plan)
        if len(plan.layers) <= MOST_BUILT:
            build(plan)

    def command(self, draw: Random) -> None:
        """The same from the command line."""
        words = draw.choice(
            [["check"], ["check", "--json"], ["show"], ["show", "--json", "--plan"], ["fmt", "--check"]]
        )
        call([*words, str(self.file)])

    def shown(self) -> str:
        """What a report says of the mutant."""
        base = (self.folder / "base.yaml").read_bytes()
        changed = "" if base == (HERE / "base.yaml").read_bytes() else f"base.yaml:\n{base!r}\n"
        return f"{self.set}\n{changed}{self.file.read_bytes()!r}"


@cache
def sound(seed: Path) -> tuple[bytes, Any]:
    """The text of a seed and its data."""
    raw = seed.read_bytes()
    return raw, yaml.safe_load(raw)


def assignments(draw: Random) -> list[str]:
    """What stands behind --set, damaged or not."""
    found = draw.choices(plausible.SETS, k=draw.randint(1, 3))
    return [mutate.misspelt(draw, each) if draw.random() < 0.7 else each for each in found]


def odd_files(folder: Path, suffix: str) -> None:
    """Names that a file may lead to and that are no regular files; one of them never ends."""
    os.mkfifo(folder / f"pipe{suffix}")
    (folder / f"folder{suffix}").mkdir()
    (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
    (folder / f"zero{suffix}").symlink_to("/dev/zero")


def counted(plan: Plan) -> None:
    """Every number that is given out before a model is built."""
    assert plan.parameter_count > 0
    assert plan.cache_bytes(4096, 8) >= 0
    plan.flops(2**40)
    if len(plan.layers) <= MOST_SHOWN:
        summary_text(summarise(plan))
        plan_text(plan)


def build(plan: Plan) -> None:
    """A model without memory; a tiny one is drawn and runs."""
    composer.build(plan, device="meta")
    if plan.parameter_count <= MOST_RUN:
        model = composer.build(plan, seed=0)
        with torch.no_grad():
            model(torch.zeros((2, 3), dtype=torch.long), use_cache=True)


def call(words: list[str]) -> None:
    """One command line; its exit code and its talk are as promised."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    said = err.getvalue()
    if (
        code not in (0, 1, 2)
        or "Traceback" in said
        or "[E901]" in said
        or (code and not said + out.getvalue())
    ):
        raise judge.Finding(f"{' '.join(words)} ended with {code}: {said[-2000:]}")
