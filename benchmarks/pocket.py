"""Makes the pocket models, as `benchmarks/pocket.md` fixes them.

    python benchmarks/pocket.py WORK                            corpus and training (resumed if it broke off)
    python benchmarks/pocket.py WORK --ship                     also specs/pocket-mistral/: weights, figures, provenance
    python benchmarks/pocket.py WORK --model NAME --seed N      another model, another seed
    python benchmarks/pocket.py WORK --model NAME --seed N --record
                                                                also this run's lines in benchmarks/pocket-runs.json

WORK is any folder, the same for all runs: they share its corpus. About 25 minutes on one free core for a run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPECS = Path(__file__).parent.parent / "specs"
MODELS = ("pocket-mistral", "pocket-ministral", "pocket-zamba2")

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


def run_folder(work: Path, model: str, seed: int) -> Path:
    """Where a run lies; the first one ever made keeps its short name."""
    return work / ("run" if (model, seed) == (MODELS[0], 0) else f"{model}-{seed}")


def make(spec: Path, work: Path, folder: Path, run: dict[str, Any]) -> None:
    """Train, or go on training; a run that came to its end is left as it is, whatever the code has become since."""
    mark, asked = folder / "finished.json", json.dumps(run, indent=1) + "\n"
    if not mark.exists():
        from composer.train import train

        print(train(spec, write_corpus(work / "corpus"), folder, resume=True, **run))
        mark.write_text(asked, encoding="utf-8")
    if mark.read_text(encoding="utf-8") != asked:
        raise SystemExit(f"{folder} holds a run with other options")


def check_vocabularies(work: Path) -> None:
    """Every run of `work` learnt its tokenizer from the same files: all must have come to the same one."""
    kept = {path.read_bytes() for path in work.glob("*/tokenizer/tokenizer.json")}
    if len(kept) > 1:
        raise SystemExit(f"the runs in {work} have {len(kept)} different tokenizers; one was expected")


def main() -> None:
    """Everything, in order."""
    parser = argparse.ArgumentParser(description="Make a pocket model.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ship", action="store_true", help="write specs/MODEL/, of seed 0 alone")
    parser.add_argument("--record", action="store_true", help="write the figures into pocket-runs.json")
    parser.add_argument("--commit", default="", help="the commit that the training ran at")
    asked = parser.parse_args()
    if asked.ship and asked.seed:
        parser.error("seed 0 is the one that ships, whatever the others come to")
    spec, folder = SPECS / f"{asked.model}.yaml", run_folder(asked.work, asked.model, asked.seed)
    make(spec, asked.work, folder, {**RUN, "seed": asked.seed})
    corpus = asked.work / "corpus"
    check_vocabularies(asked.work)
    if asked.ship:
        from pocket_ship import ship

        ship(corpus, folder, spec, asked.commit)
    if asked.record:
        from pocket_runs import record

        record(corpus, folder, spec, asked.seed, asked.commit)


if __name__ == "__main__":
    main()
