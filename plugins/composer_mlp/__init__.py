"""The feed-forward block: plain, or gated by a second projection."""

from __future__ import annotations

import composer

from .options import MLP


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kinds of this plugin."""
    return [MLP]
