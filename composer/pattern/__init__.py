"""The layer pattern: one string that names the block of every layer."""

from __future__ import annotations

from composer.pattern.cycle import Remainder, cycle, hint_for_unknown
from composer.pattern.form import fmt
from composer.pattern.parse import MAX_LAYERS, parse
from composer.pattern.read import ScalarPlaces, read_pattern
from composer.pattern.words import Group, Locate, Pattern, Term, Word

__all__ = [
    "MAX_LAYERS",
    "Group",
    "Locate",
    "Pattern",
    "Remainder",
    "ScalarPlaces",
    "Term",
    "Word",
    "cycle",
    "fmt",
    "hint_for_unknown",
    "parse",
    "read_pattern",
]
