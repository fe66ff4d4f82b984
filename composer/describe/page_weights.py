"""Where the numbers of a model come from: the names of its tensors in checkpoints, and its sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..layout.family import family_named
from ..layout.rows import Row as WeightRow
from ..layout.rows import expand_rows
from ..plan import Plan
from .page_text import Row, code, plural
from .runs import runs


def weight_rows(plan: Plan) -> Iterator[Row]:
    """Each tensor that is outside the layers or in the first layer of a word: our name, its shape, its name there."""
    first = shown_layers(plan)
    parameters = plan.parameters()
    theirs = published_names(plan)
    for name, param in parameters.items():
        if not name.startswith("layers.") or name.split(".")[1] in first:
            shape = " × ".join(f"{size:,}" for size in param.shape) or "one number"
            yield code(name), shape, theirs.get(name, "")


def shown_layers(plan: Plan) -> set[str]:
    """The first layer of every word with its guests, as it stands in a name."""
    found: dict[tuple[str, ...], str] = {}
    for run in runs(plan):
        found.setdefault((run.layer.word, *run.layer.guests), str(run.first))
    return set(found.values())


def published_names(plan: Plan) -> dict[str, str]:
    """What each parameter is called in published checkpoints; empty where the spec names no family."""
    if plan.spec.weights is None:
        return {}
    rows = expand_rows(family_named(plan.spec.weights).weights_of(plan), plan.parameters())
    return {row.ours: stored(row) for row in rows}


def stored(row: WeightRow) -> str:
    """The name of a tensor, and how ours is found in it where the two are not the same."""
    notes = [f"also under {plural(len(row.theirs) - 1, 'other name')}"] if len(row.theirs) > 1 else []
    if row.split:
        notes.append(f"part {row.split.index(row.ours) + 1} of {len(row.split)}")
    if row.op:
        notes.append(row.op.name)
    return code(row.theirs[0]) + (f", {', '.join(notes)}" if notes else "")


def source_lines(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Licence and sources as a list."""
    if "licence" in metadata:
        yield f"- Licence: {metadata['licence']}"
    sources = metadata.get("sources", [])
    named = sources.items() if isinstance(sources, Mapping) else ((None, each) for each in sources)
    for name, text in named:
        yield f"- {text}" if name is None else f"- {name}: {text}"
