"""Selective state spaces: a memory of fixed size that every token writes to and reads from."""

from __future__ import annotations

import composer

from .options import Mamba2


@composer.hookimpl
def composer_blocks() -> list[type[composer.Block]]:
    """The kinds of this plugin."""
    return [Mamba2]
