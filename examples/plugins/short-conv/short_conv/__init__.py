"""A short convolution between two gates: a mixer that remembers the last few tokens and nothing else."""

from __future__ import annotations

import composer

from .options import ShortConv


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kinds of this plugin."""
    return [ShortConv]
