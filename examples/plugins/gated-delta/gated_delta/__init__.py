"""The gated delta rule: a memory of fixed size that is corrected, not only added to."""

from __future__ import annotations

from pathlib import Path

import composer

from .options import GatedDelta

__all__ = ["GatedDelta"]


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kind of this plugin."""
    return [GatedDelta]


@composer.hookimpl
def composer_data() -> list[Path]:
    """The folder of `specs/delta-hybrid.yaml`."""
    return [Path(__file__).parent]
