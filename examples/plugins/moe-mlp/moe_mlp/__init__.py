"""A feed-forward of several experts, of which each token uses a few."""

from __future__ import annotations

import composer

from .options import MoEMLP


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kinds of this plugin."""
    return [MoEMLP]
