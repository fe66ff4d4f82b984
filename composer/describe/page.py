"""A page about one model and an index of them, generated from plans: Markdown, and no torch.

for name, text in model_pages(plans).items():
    (folder / name).write_text(text, encoding="utf-8")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..plan import Plan
from . import units
from .page_blocks import block_rows
from .page_layers import formulas, layer_rows
from .page_parts import counts
from .page_pattern import meaning, pattern_line
from .page_text import Row, table
from .page_weights import source_lines, weight_rows
from .strip import strip_svg
from .summary import DEFAULT_CONTEXT

CONTEXTS = (1, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
MADE = "<!-- Made by `make docs` from the spec; what is changed here by hand is lost. -->"


def model_page(plan: Plan) -> str:
    """Everything about one model, for a file beside its `.svg`."""
    return "\n\n".join(part for part in sections(plan) if part) + "\n"


def sections(plan: Plan) -> Iterator[str]:
    """The page, a paragraph or table at a time."""
    spec, context = plan.spec, longest(plan)
    yield MADE
    yield f"# {plan.name}"
    yield spec.description.strip()
    yield f"![The layers of {plan.name}]({plan.name}.svg)"
    yield f"**Pattern** {pattern_line(spec)}"
    yield meaning(plan)
    yield table(("", ""), "<<", facts(plan))
    yield "## Layers"
    yield f"Numbers are those of one layer; FLOPs and cache bytes (bfloat16) after {context:,} tokens."
    titles = ("layers", "word", "blocks", "guests", "own parameters", "FLOPs a token", "cache bytes")
    yield table(titles, "<<<<>>>", layer_rows(plan, context))
    yield "What a layer does to the stream x:"
    yield f"```text\n{formulas(plan)}\n```"
    yield "## Blocks"
    yield table(("block", "kind", "layers", "remembers", "options"), "<<<<<", block_rows(plan))
    yield "## Parameters"
    yield table(("part", "kind", "parameters", "share", "used"), "<<>>>", part_rows(plan))
    yield "## Memory and work"
    yield "For one row: the cache in bfloat16, and the FLOPs of the last token (two a multiply-add)."
    yield table(("tokens", "cache bytes", "", "FLOPs", ""), ">>>>>", cost_rows(plan))
    yield "## Weights"
    yield weights(plan)
    yield table(("parameter", "shape", "in a checkpoint"), "<<<", weight_rows(plan))
    sources = "\n".join(source_lines(spec.metadata))
    yield f"## Sources\n\n{sources}" if sources else ""


def longest(plan: Plan) -> int:
    """The context that a page speaks of: as many tokens as the model is meant for."""
    return plan.sizes.max_position_embeddings or DEFAULT_CONTEXT


def facts(plan: Plan) -> Iterator[Row]:
    """The model as a whole."""
    count, used, sizes = plan.parameter_count, plan.used_parameter_count, plan.sizes
    published = plan.spec.metadata.get("parameters")
    agrees = ", as published" if published == count else f"; published are {published:,}" if published else ""
    yield "parameters", f"{count:,} ({units.count(count)}){agrees}"
    if used != count:
        pairs = [(part.unique, part.used) for part in counts(plan).values()]
        yield "parameters used by a token", f"{used:,} ({units.count(used)}), {units.met(pairs)}"
    yield "weights in bfloat16", size(weight_bytes(plan))
    yield "layers", f"{len(plan.layers):,}"
    yield "width of the stream", f"{sizes.hidden_size:,}"
    yield "vocabulary", f"{sizes.vocab_size:,}"
    yield "longest text", f"{longest(plan):,} tokens" if sizes.max_position_embeddings else "open"
    yield from details(plan)


def details(plan: Plan) -> Iterator[Row]:
    """What stands before the first layer and behind the last."""
    embedding, sizes, head = plan.embedding, plan.sizes, plan.head
    if sizes.embedding_size != sizes.hidden_size:
        yield "width of the token table", f"{sizes.embedding_size:,}"
    if embedding.scale is not None:
        yield "embeddings times", f"{embedding.scale:g}"
    if embedding.positions is not None:
        yield "learned positions", f"row = position + {embedding.positions}"
    yield "norm before the head", "none" if plan.norm is None else f"{plan.norm.kind}, eps {plan.norm.eps:g}"
    yield "output matrix", "the token table" if head.tied else "its own"
    if head.softcap is not None:
        yield "logits capped at", f"{head.softcap:g}"


def weight_bytes(plan: Plan) -> int:
    """Bytes of all parameters where the model is in bfloat16."""
    return sum(param.count * (2 if param.dtype == "model" else 4) for param in plan.parameters().values())


def size(number: int) -> str:
    """Bytes, exact and for people."""
    return f"{number:,} bytes ({units.amount(number, 'B')})"


def part_rows(plan: Plan) -> Iterator[Row]:
    """A row for each part, and their sum."""
    total = plan.parameter_count
    for name, count in counts(plan).items():
        share = f"{100 * count.unique / total:.1f} %"
        yield name, count.kind, f"{count.unique:,}", share, f"{count.used:,}"
    yield "**all**", "", f"{total:,}", "", f"{plan.used_parameter_count:,}"


def cost_rows(plan: Plan) -> Iterator[Row]:
    """A row for each length up to the longest."""
    most = longest(plan)
    for context in sorted({*(each for each in CONTEXTS if each < most), most}):
        held, work = plan.cache_bytes(context), plan.flops(context)
        flops = ("unknown", "") if work is None else (f"{work:,}", units.amount(work, "FLOP"))
        yield f"{context:,}", f"{held:,}", units.amount(held, "B"), *flops


def weights(plan: Plan) -> str:
    """Which layout published checkpoints have."""
    family = plan.spec.weights
    if family is None:
        return "Checkpoints have the names below; no published layout is named. Of layers alike the first is shown."
    file = f"[specs/families/{family}.yaml](../../specs/families/{family}.yaml)"
    return f"Published checkpoints name their tensors as {file} says. Of layers alike the first is shown."


def index_page(plans: Iterable[Plan]) -> str:
    """The list of all models."""
    titles = ("model", "layers", "parameters", "", "cache bytes", "longest text", "pattern")
    rows = sorted(plans, key=lambda plan: plan.name)
    open_ended = f"{DEFAULT_CONTEXT:,} tokens where that is open"
    about = f"The cache is that of one row of the longest text ({open_ended}), in bfloat16."
    listed = table(titles, "<>>>>><", map(index_row, rows))
    return f"{MADE}\n\n# Models\n\n{about}\n\n{listed}\n"


def index_row(plan: Plan) -> Row:
    """One model in a line; the cache is that of its longest text, in bfloat16."""
    most = longest(plan)
    return (
        f"[{plan.name}]({plan.name}.md)",
        f"{len(plan.layers):,}",
        f"{plan.parameter_count:,}",
        units.count(plan.parameter_count),
        f"{plan.cache_bytes(most):,}",
        f"{most:,}" if plan.sizes.max_position_embeddings else "open",
        pattern_line(plan.spec),
    )


def model_pages(plans: Iterable[Plan]) -> dict[str, str]:
    """Every file of a folder about these models: a page and a picture for each, and the index."""
    every = list(plans)
    files = {"index.md": index_page(every)}
    for plan in every:
        files |= {f"{plan.name}.md": model_page(plan), f"{plan.name}.svg": strip_svg(plan)}
    return files
