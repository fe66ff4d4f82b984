"""The real-gated linear recurrent unit: every channel remembers one number, and decides how long."""

from __future__ import annotations

import composer

from .options import RGLRU


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kind of this plugin."""
    return [RGLRU]
