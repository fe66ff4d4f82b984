"""The real-gated linear recurrent unit: every channel remembers one number, and decides how long."""

from __future__ import annotations

from pathlib import Path

import composer

from .options import RGLRU

__all__ = ["RGLRU"]


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kind of this plugin."""
    return [RGLRU]


@composer.hookimpl
def composer_data() -> list[Path]:
    """The folder of `specs/lru-hybrid.yaml`."""
    return [Path(__file__).parent]
