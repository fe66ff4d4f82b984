"""Attention over earlier tokens: full or windowed, multi-head, grouped or multi-query."""

from __future__ import annotations

import composer

from .options import Attention


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kinds of this plugin."""
    return [Attention]
