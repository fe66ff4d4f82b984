"""Which blocks exist: hooks, sources that are loaded one by one, and the catalog they add up to.

A plugin that is broken, misspelt, duplicate or made for another host is reported by name and stops
nothing else: its problem is kept in the catalog and told to whoever asks for one of its kinds.
"""

from __future__ import annotations

from .blaming import blamed
from .foreign import foreign_composer
from .gathering import catalog, gather, installed
from .hooks import GROUP, Hooks, hookimpl, hookspec
from .limiting import FILES, LIMIT, Limits, limits, using
from .offers import Catalog, Offer, Plugin
from .timing import TIMEOUT

__all__ = [
    "FILES",
    "GROUP",
    "LIMIT",
    "TIMEOUT",
    "Catalog",
    "Hooks",
    "Limits",
    "Offer",
    "Plugin",
    "blamed",
    "catalog",
    "foreign_composer",
    "gather",
    "hookimpl",
    "hookspec",
    "installed",
    "limits",
    "using",
]
