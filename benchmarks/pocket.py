"""Makes the pocket model that ships with the package, as `benchmarks/pocket.md` fixes it.

    python benchmarks/pocket.py WORK           corpus and training (resumed if it broke off)
    python benchmarks/pocket.py WORK --ship    also specs/pocket-mistral/: weights, figures, provenance

WORK is any folder; about 25 minutes on one free core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_BYTES = 2_000_000
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


def ship(work: Path, folder: Path, commit: str) -> None:
    """Write the folder that is installed: the last weights in bf16, and everything said about them."""
    import torch

    import composer

    model = composer.load(work / "run" / "checkpoint").to(torch.bfloat16)
    tokenizer = composer.load_tokenizer(work / "run" / "tokenizer")
    composer.save(model, folder, layout="hf", tokenizer=tokenizer)
    shutil.copyfile(SPEC, folder / "composer.yaml")
    shutil.copyfile(work / "run" / "loss.jsonl", folder / "loss.jsonl")
    facts = json.dumps(provenance(work, folder, commit), indent=1, ensure_ascii=False)
    (folder / "provenance.json").write_text(facts + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > MOST_BYTES:
        raise SystemExit(f"{folder} has {size:,} bytes, more than {MOST_BYTES:,}")


def provenance(work: Path, folder: Path, commit: str) -> dict[str, Any]:
    """Where the weights come from, and what they were measured to do."""
    import tokenizers
    import torch
    from pocket_figures import Texts, figures, sample

    import composer

    corpus, lines = work / "corpus", (folder / "loss.jsonl").read_text(encoding="utf-8").splitlines()
    log = [line for line in map(json.loads, lines) if "loss" in line]
    model = composer.load(folder, dtype=torch.float32)
    texts = Texts(corpus, folder / "tokenizer.json", RUN["held_out_percent"])
    return {
        "plan": "benchmarks/pocket.md",
        "made_by": "benchmarks/pocket.py",
        "commit": commit,
        "parameters": model.plan.parameter_count,
        "corpus": {
            "text": f"the standard library of CPython {platform.python_version()}",
            "licence": "PSF-2.0",
            **facts_of(corpus),
        },
        "run": RUN,
        "tokens": log[-1]["tokens"],
        "training_seconds": round(sum(RUN["log_every"] * 2048 / line["tokens_per_s"] for line in log)),
        "arithmetic": "float32 on one CPU core; the last step's weights, rounded to bf16",
        "versions": {"torch": torch.__version__, "tokenizers": tokenizers.__version__},
        "figures": figures(model, texts),
        "sample_bits_per_byte": sample(model, texts),
        "sha256": {name: sha256(folder / name) for name in ("model.safetensors", "tokenizer.json")},
    }


def facts_of(corpus: Path) -> dict[str, Any]:
    """The corpus as numbers: enough to see whether another machine has the same one."""
    from composer.train.corpus import digest, find_documents, split

    documents = find_documents(corpus, RUN["extensions"])
    parts = split(documents, RUN["held_out_percent"])
    counts = {
        name: {"files": len(part), "bytes": sum(document.path.stat().st_size for document in part)}
        for name, part in zip(("training", "held_out"), parts, strict=True)
    }
    return {"sha256": digest(documents), **counts}


def sha256(path: Path) -> str:
    """The digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Everything, in order."""
    from composer.train import train

    parser = argparse.ArgumentParser(description="Make the pocket model.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--ship", action="store_true", help="write specs/pocket-mistral/")
    parser.add_argument("--commit", default="", help="the commit that the training ran at")
    asked = parser.parse_args()
    print(train(SPEC, write_corpus(asked.work / "corpus"), asked.work / "run", resume=True, **RUN))
    if asked.ship:
        ship(asked.work, SPEC.with_suffix(""), asked.commit)


if __name__ == "__main__":
    main()
