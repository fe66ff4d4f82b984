"""A feed-forward of several experts, of which each token uses a few."""

from __future__ import annotations

from pathlib import Path

import composer

from .options import MoEMLP


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kinds of this plugin."""
    return [MoEMLP]


@composer.hookimpl
def composer_data() -> list[Path]:
    """Its specs and families, which join those of the host."""
    return [Path(__file__).parent / "data"]
