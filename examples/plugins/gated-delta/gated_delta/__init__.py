"""The gated delta rule: a memory of fixed size that is corrected, not only added to."""

from __future__ import annotations

import composer

from .options import GatedDelta


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kind of this plugin."""
    return [GatedDelta]
