"""What every run of a pocket model came to, in one file: benchmarks/pocket-runs.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pocket_ship import losses, sha256

RUNS = Path(__file__).with_name("pocket-runs.json")
EVERY = 100  # steps in a point of the loss curve


def record(corpus: Path, run: Path, spec: Path, seed: int, commit: str) -> None:
    """Put the figures of `run` into the file, in place of what it said of this model and seed."""
    known = json.loads(RUNS.read_text(encoding="utf-8")) if RUNS.exists() else {}
    known.setdefault(spec.stem, {})[str(seed)] = measured(corpus, run, spec, commit)
    RUNS.write_text(a_line_a_run(known), encoding="utf-8")


def a_line_a_run(known: dict[str, dict[str, Any]]) -> str:
    """The file: models and seeds in order, one line for each run."""
    models = [
        f' "{name}": {{\n'
        + ",\n".join(f'  "{seed}": {json.dumps(runs[seed])}' for seed in sorted(runs))
        + "\n }"
        for name, runs in sorted(known.items())
    ]
    return "{\n" + ",\n".join(models) + "\n}\n"


def measured(corpus: Path, run: Path, spec: Path, commit: str) -> dict[str, Any]:
    """The measures that the plan fixes, of the last weights rounded to bf16."""
    import torch
    from pocket_figures import CONTEXT, Texts, complete_lines, sampled_by_model, share_accepted

    import composer
    from composer.train.evaluate import bits_per_byte

    model = composer.load(run / "checkpoint", spec=spec, dtype=torch.bfloat16).to(torch.float32)
    texts = Texts(corpus, run / "tokenizer" / "tokenizer.json")
    bits = {size: bits_per_byte(model, texts.tokens(), size) for size in (CONTEXT, 4 * CONTEXT)}
    return {
        "commit": commit,
        "parameters": model.plan.parameter_count,
        "checkpoint_sha256": sha256(run / "checkpoint" / "model.safetensors"),
        "held_out_bits_per_byte": {str(size): round(value, 4) for size, value in bits.items()},
        "lines_accepted_by_tokenize": share_accepted(complete_lines(sampled_by_model(model, texts))),
        "loss_every": EVERY,
        "loss": curve(losses(run / "loss.jsonl")),
    }


def curve(log: list[dict[str, float]]) -> list[float]:
    """Mean loss of steps 1 to EVERY, of the next EVERY, ...; each line of `log` is the mean of as many steps."""
    points: dict[int, list[float]] = {}
    for line in log:
        points.setdefault((int(line["step"]) - 1) // EVERY, []).append(line["loss"])
    return [round(sum(lines) / len(lines), 4) for _, lines in sorted(points.items())]
