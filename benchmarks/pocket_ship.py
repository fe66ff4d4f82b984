"""The folder of a pocket model as it is installed, and everything that is said about it."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from pathlib import Path
from typing import Any

from pocket import RUN

MOST_BYTES = 2_000_000


def ship(corpus: Path, run: Path, spec: Path, commit: str) -> None:
    """Write the folder beside `spec`: the last weights of `run` in bf16, figures, provenance."""
    import torch

    import composer

    folder = spec.with_suffix("")
    model = composer.load(run / "checkpoint", spec=spec, dtype=torch.bfloat16)
    composer.save(model, folder, layout="hf", tokenizer=composer.load_tokenizer(run / "tokenizer"))
    shutil.copyfile(spec, folder / "composer.yaml")
    shutil.copyfile(run / "loss.jsonl", folder / "loss.jsonl")
    facts = json.dumps(provenance(corpus, folder, commit), indent=1, ensure_ascii=False)
    (folder / "provenance.json").write_text(facts + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > MOST_BYTES:
        raise SystemExit(f"{folder} has {size:,} bytes, more than {MOST_BYTES:,}")


def provenance(corpus: Path, folder: Path, commit: str) -> dict[str, Any]:
    """Where the weights come from, and what they were measured to do."""
    import tokenizers
    import torch
    from pocket_figures import Texts, figures, sample

    import composer

    log = losses(folder / "loss.jsonl")
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


def losses(path: Path) -> list[dict[str, float]]:
    """The lines of a log that carry a training loss."""
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if "loss" in line]


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
