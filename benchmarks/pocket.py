"""Makes the pocket model that ships with the package, as `benchmarks/pocket.md` fixes it.

    python benchmarks/pocket.py WORK              corpus, training (resumed if it broke off), figures
    python benchmarks/pocket.py WORK --ship       also writes specs/pocket-mistral/

WORK is any folder; about 25 minutes on one core.
"""

from __future__ import annotations

import argparse
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPEC = Path(__file__).parent.parent / "specs" / "pocket-mistral.yaml"

LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "encodings", "pydoc_data"}
WRITTEN_BY_THE_BUILD = ("_sysconfigdata", "config-")

RUN: dict[str, Any] = {
    "steps": 5000,
    "batch_size": 8,
    "context": 256,
    "learning_rate": 3e-3,
    "warmup_steps": 200,
    "final_rate": 0.0,
    "weight_decay": 0.1,
    "beta1": 0.9,
    "beta2": 0.99,
    "epsilon": 1e-8,
    "clip": 1.0,
    "seed": 0,
    "dtype": "float32",
    "extensions": (".py",),
    "held_out_percent": 10,
    "log_every": 25,
    "save_every": 500,
}


def standard_library() -> Iterator[tuple[str, Path]]:
    """Relative path and place of every file of the corpus."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if not LEFT_OUT & set(name.parts) and not name.parts[0].startswith(WRITTEN_BY_THE_BUILD):
            yield name.as_posix(), path


def write_corpus(folder: Path) -> Path:
    """Copy the corpus into `folder`, afresh."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, path in standard_library():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
    return folder


def main() -> None:
    """Everything, in order."""
    from composer.train import train

    parser = argparse.ArgumentParser(description="Make the pocket model.")
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    print(train(SPEC, write_corpus(work / "corpus"), work / "run", resume=True, **RUN))


if __name__ == "__main__":
    main()
