"""What a plugin may implement, and the markers it is written with."""

from __future__ import annotations

from pathlib import Path

import pluggy

from ..block import Block

GROUP = "arch_composer"
"""The group of entry points that an installed plugin stands in."""

hookspec = pluggy.HookspecMarker("composer")
hookimpl = pluggy.HookimplMarker("composer")


class Hooks:
    """The hooks of the host; a plugin implements either, or both."""

    @hookspec
    def composer_blocks(self) -> list[type[Block]]:
        """Return the block classes that this plugin offers."""
        raise NotImplementedError

    @hookspec
    def composer_data(self) -> list[Path]:
        """Return folders with specs (`specs/*.yaml`) and families (`families/*.yaml`) that this plugin ships."""
        raise NotImplementedError


HOOKS = tuple(name for name in vars(Hooks) if name.startswith("composer_"))
