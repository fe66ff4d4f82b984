"""Draws benchmarks/pocket-runs.svg from benchmarks/pocket-runs.json: bits by model and seed, and loss curves.

python benchmarks/pocket_picture.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RUNS = Path(__file__).with_name("pocket-runs.json")
COLOURS = {"pocket-mistral": "#0072b2", "pocket-ministral": "#d55e00", "pocket-zamba2": "#009e73"}
WIDTH, HEIGHT, TOP, BOTTOM = 860, 360, 50, 300
BITS, LOSS = (50, 390), (470, 840)  # left and right edge of the two panels
Scale = Callable[[float], float]


def picture(runs: dict[str, Any]) -> str:
    """The whole file."""
    parts = [*bits_panel(runs), *loss_panel(runs)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="#222">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *parts, "</svg>\n"])


def bits_panel(runs: dict[str, Any]) -> Iterator[str]:
    """A dot for each run: held-out bits per byte, models side by side, seeds from left to right."""
    found = {name: bits(of) for name, of in runs.items()}
    every = [value for values in found.values() for value in values.values()]
    y, marks = scale(min(every), max(every), 0.01)
    yield text(sum(BITS) / 2, 24, "held-out bits per byte, by model and seed", "middle")
    yield from grid(BITS, y, marks, "{:.2f}")
    step = (BITS[1] - BITS[0]) / len(found)
    for place, (name, values) in enumerate(found.items()):
        middle = BITS[0] + step * (place + 0.5)
        yield text(middle, BOTTOM + 34, name, "middle", COLOURS[name], size=11)
        for seed, value in values.items():
            x = middle + 26 * (int(seed) - 1)
            yield f'<circle cx="{x:.1f}" cy="{y(value):.1f}" r="4.5" fill="{COLOURS[name]}"/>'
            yield text(x, y(value) - 9, f"{value:.3f}", "middle", size=9)
            yield text(x, BOTTOM + 16, seed, "middle", size=10)


def bits(of: dict[str, Any]) -> dict[str, float]:
    """Seed and measure 1 of every run of a model."""
    return {seed: run["held_out_bits_per_byte"]["256"] for seed, run in of.items()}


def loss_panel(runs: dict[str, Any]) -> Iterator[str]:
    """A line for each run: its training loss from the thousandth step on, where the curves part."""
    curves = [(name, run) for name, of in runs.items() for run in of.values()]
    drawn = [value for _, run in curves for value in run["loss"][9:]]
    y, marks = scale(min(drawn), max(drawn), 0.2)
    last = max(len(run["loss"]) * run["loss_every"] for _, run in curves)
    yield text(sum(LOSS) / 2, 24, "training loss (nats a token), from step 1,000 on", "middle")
    yield from grid(LOSS, y, marks, "{:.1f}")
    for step in range(1000, last + 1, 1000):
        yield text(across(step, last), BOTTOM + 16, f"{step:,}", "middle", size=10)
    yield text(sum(LOSS) / 2, BOTTOM + 34, "step", "middle")
    for name, run in curves:
        points = [
            f"{across((place + 1) * run['loss_every'], last):.1f},{y(value):.1f}"
            for place, value in enumerate(run["loss"])
            if place >= 9
        ]
        yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{COLOURS[name]}" stroke-width="1.2"/>'
    for place, name in enumerate(runs):
        yield text(LOSS[1] - 8, TOP + 16 + 16 * place, name, "end", COLOURS[name])


def across(step: float, last: int) -> float:
    """Where a step stands in the right panel."""
    return LOSS[0] + (LOSS[1] - LOSS[0]) * (step - 1000) / (last - 1000)


def scale(least: float, most: float, unit: float) -> tuple[Scale, list[float]]:
    """Height of a value, and the marks: multiples of `unit`, or of as many of it as keep them below nine."""
    while (most - least) / unit > 8:
        unit *= 2
    low, high = math.floor(least / unit - 0.2), math.ceil(most / unit + 0.2)
    marks = [unit * number for number in range(low, high + 1)]
    return lambda value: BOTTOM - (BOTTOM - TOP) * (value / unit - low) / (high - low), marks


def grid(edges: tuple[int, int], y: Scale, marks: list[float], form: str) -> Iterator[str]:
    """A line and a number at every mark."""
    for mark in marks:
        yield f'<path d="M{edges[0]} {y(mark):.1f}H{edges[1]}" stroke="#ddd"/>'
        yield text(edges[0] - 8, y(mark) + 4, form.format(mark), "end", size=10)


def text(x: float, y: float, words: str, anchor: str, colour: str = "#222", size: int = 12) -> str:
    """Some words at a place."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}">{words}</text>'


def main() -> None:
    """Read, draw, write."""
    RUNS.with_suffix(".svg").write_text(
        picture(json.loads(RUNS.read_text(encoding="utf-8"))), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
