"""A model as a strip: one cell a layer in the colour of its block, guests above their hosts; an SVG file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from ..block import Block
from ..chain import Chain, LayerPlan
from ..errors import printable
from ..plan import Plan
from .page_blocks import copy_taken, described
from .page_text import times

WIDTH, MARGIN = 830, 10  # as wide as a page of a repository shows it
MOST_ACROSS, WIDEST = 100, 40  # cells in a line, and how wide one may be
HOST, GUEST, GAP, TEXT = 30, 16, 2, 18

COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#9c755f", "#edc948")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#57606a}.in{font-size:9px;fill:#fff;text-anchor:middle}"
    ".at{font-size:10px;text-anchor:middle}@media(prefers-color-scheme:dark){text{fill:#9198a1}.in{fill:#fff}}"
)


@dataclass(frozen=True)
class Kind:
    """One entry of the legend: layers or guests that are built alike."""

    label: str
    colour: str


@dataclass
class Legend:
    """Which colour stands for which block, in the order in which they appear."""

    plan: Plan
    kinds: dict[tuple[str, tuple[Block, ...]], Kind] = field(default_factory=dict)
    counts: dict[Kind, int] = field(default_factory=dict)

    def of(self, word: str, chain: Chain) -> Kind:
        """The entry of a chain that a word stands for; each asking counts it once more."""
        key = word, tuple(mixer.block for mixer in chain.mixers)
        if key not in self.kinds:
            colour = COLOURS[len(self.kinds) % len(COLOURS)]
            self.kinds[key] = Kind(self.label(word, chain), colour)
        kind = self.kinds[key]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return kind

    def label(self, word: str, chain: Chain) -> str:
        """The blocks behind a word, and between how many copies its uses change."""
        copies = len({copy for _, copy in self.plan.uses.get(word, ())})
        turns = f", {copies} copies in turn" if copies > 1 else ", shared" if copies else ""
        return f"{word}: {'; '.join(map(described, chain.mixers))}{turns}"


def strip_svg(plan: Plan) -> str:
    """The picture of a plan: `WIDTH` units wide, its text readable on light and dark pages."""
    legend = Legend(plan)
    across = min(len(plan.layers), MOST_ACROSS)
    pitch = min(WIDEST, (WIDTH - 2 * MARGIN) / across)
    body: list[str] = []
    top = MARGIN
    for first in range(0, len(plan.layers), across):
        line = plan.layers[first : first + across]
        above = GUEST * max(len(layer.guests) for layer in line)
        for column, layer in enumerate(line):
            body += cell(plan, layer, legend, MARGIN + column * pitch, top + above, pitch)
        top += above + HOST + TEXT
    for kind, count in legend.counts.items():
        body += entry(kind, count, top)
        top += TEXT
    return document(plan, top, body)


def document(plan: Plan, height: int, body: list[str]) -> str:
    """The file around its shapes."""
    title = escape(f"{printable(plan.name)}: {len(plan.layers)} layers")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{title}">'
    )
    return "\n".join([head, f"<title>{title}</title>", f"<style>{STYLE}</style>", *body, "</svg>", ""])


def cell(
    plan: Plan, layer: LayerPlan, legend: Legend, left: float, top: float, pitch: float
) -> Iterator[str]:
    """One layer: its guests from the host upwards, the host, and its index where there is room."""
    for level, (word, chain) in enumerate(layer.guests.items(), 1):
        taken = copy_taken(plan, word, layer.index)
        told = f"layer {layer.index}: {word}" + ("" if taken is None else f", copy {taken}")
        above = top - level * GUEST
        yield box(left, above, pitch, GUEST - GAP, legend.of(word, chain).colour, told)
        if taken is not None and pitch >= 9:
            yield f'<text class="in" x="{number(left + pitch / 2 - GAP / 2)}" y="{above + 11}">{taken}</text>'
    colour = legend.of(layer.word, layer.host).colour
    yield box(left, top, pitch, HOST, colour, f"layer {layer.index}: {layer.word}")
    if layer.index % (1 if pitch >= 20 else 10) == 0:
        middle = number(left + pitch / 2 - GAP / 2)
        yield f'<text class="at" x="{middle}" y="{top + HOST + 12}">{layer.index}</text>'


def box(left: float, top: float, pitch: float, height: float, colour: str, told: str) -> str:
    """A cell, and what it says when pointed at."""
    place = f'x="{number(left)}" y="{number(top)}" width="{number(pitch - GAP)}" height="{number(height)}"'
    return f'<rect {place} rx="2" fill="{colour}"><title>{escape(told)}</title></rect>'


def entry(kind: Kind, count: int, top: int) -> Iterator[str]:
    """A line of the legend."""
    yield f'<rect x="{MARGIN}" y="{top + 3}" width="12" height="12" rx="2" fill="{kind.colour}"/>'
    text = escape(f"{kind.label} · {times(count)}")
    yield f'<text x="{MARGIN + 18}" y="{top + 13}">{text}</text>'


def number(value: float) -> str:
    """A coordinate, to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
