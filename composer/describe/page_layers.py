"""The layers of a page: the table with runs folded, and in formulas what a layer computes."""

from __future__ import annotations

from collections.abc import Iterator

from ..block import Norm
from ..chain import BranchPlan, Chain
from ..plan import Plan
from . import units
from .page_blocks import copy_taken, described
from .page_text import Row, code
from .runs import Run, runs

UNKNOWN = "unknown"


def layer_rows(plan: Plan, context: int) -> Iterator[Row]:
    """A row for each run of layers; numbers are those of one layer."""
    sizes = own_sizes(plan)
    for run in runs(plan):
        layer, flops = run.layer, run.layer.flops(context)
        blocks = [
            described(mixer) if mixer.word == mixer.block.kind else f"{code(mixer.word)} {described(mixer)}"
            for mixer in layer.host.mixers
        ]
        yield (
            units.layers(run.first, run.last),
            code(layer.word),
            "; ".join(blocks),
            ", ".join(riders(plan, run)),
            f"{sizes.get(layer.index, 0):,}",
            UNKNOWN if flops is None else f"{flops:,}",
            f"{sum(slot.bytes(context, 0, 2) for slot in layer.slots().values()):,}",
        )


def riders(plan: Plan, run: Run) -> Iterator[str]:
    """The guests of a layer, with the copy that each takes."""
    for word in run.layer.guests:
        taken = copy_taken(plan, word, run.first)
        yield code(word) + ("" if taken is None else f" (copy {taken})")


def own_sizes(plan: Plan) -> dict[int, int]:
    """Parameters that belong to one layer alone, by its index."""
    sizes: dict[int, int] = {}
    for name, param in plan.parameters().items():
        room, _, rest = name.partition(".")
        if room == "layers":
            index = int(rest.partition(".")[0])
            sizes[index] = sizes.get(index, 0) + param.count
    return sizes


def formulas(plan: Plan) -> str:
    """What each kind of layer and guest does to the stream x, a line a branch."""
    told: dict[str, list[str]] = {}
    for layer in plan.layers:
        for word, chain in ((layer.word, layer.host), *layer.guests.items()):
            told.setdefault(word, list(steps(word, chain, word in layer.guests)))
    width = max(map(len, told))
    return "\n".join(
        f"{word if number == 0 else '':<{width}}  {line}"
        for word, lines in told.items()
        for number, line in enumerate(lines)
    )


def steps(word: str, chain: Chain, guest: bool) -> Iterator[str]:
    """The branches of a chain over a stream x; a guest has a stream y of its own."""
    name = "y" if guest else "x"
    if guest:
        reads = " and ".join("x" if each == "stream" else f"the {each}" for each in chain.reads)
        yield f"y = {reads}" + (", side by side" if len(chain.reads) > 1 else "")
    for branch in chain.branches:
        yield f"{name} = {step(branch, name)}"
    if guest:
        yield f"{word} = {'out(y)' if chain.out else 'y'}"


def step(branch: BranchPlan, name: str) -> str:
    """What one branch makes of a stream."""
    read = normed(branch.norm, name)
    out = normed(branch.post, " + ".join(f"{mixer.word}({read})" for mixer in branch.mixers))
    added = f"{out}" if branch.scale == 1 else f"{branch.scale:g}·{grouped(out)}"
    kept = "" if branch.residual == 0 else name if branch.residual == 1 else f"{branch.residual:g}·{name}"
    return normed(branch.after, " + ".join(filter(None, (kept, added))))


def normed(norm: Norm | None, text: str) -> str:
    """A text in its norm."""
    return f"{norm.kind}({text})" if norm else text


def grouped(text: str) -> str:
    """In brackets where it is a sum."""
    return f"({text})" if " + " in text else text
