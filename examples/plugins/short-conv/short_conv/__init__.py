"""A short convolution between two gates: a mixer that remembers the last few tokens and nothing else."""

from __future__ import annotations

from pathlib import Path

import composer

from .options import ShortConv


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kinds of this plugin."""
    return [ShortConv]


@composer.hookimpl
def composer_data() -> list[Path]:
    """Its specs, which join those of the host."""
    return [Path(__file__).parent / "data"]
