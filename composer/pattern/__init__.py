"""The layer pattern: one string that names the block of every layer."""

from __future__ import annotations

from composer.pattern.canonical import canonical, canonical_written, strings
from composer.pattern.cycle import Remainder, cycle, hint_for_unknown
from composer.pattern.form import fmt
from composer.pattern.parse import MAX_LAYERS, parse
from composer.pattern.read import ScalarPlaces, read_pattern
from composer.pattern.rest import fill
from composer.pattern.shortest import shortest, shortest_cycle
from composer.pattern.tracks import ONLY, Row, Tracks, read_tracks
from composer.pattern.words import REST, Group, Locate, Pattern, Term, Word

__all__ = [
    "MAX_LAYERS",
    "ONLY",
    "REST",
    "Group",
    "Locate",
    "Pattern",
    "Remainder",
    "Row",
    "ScalarPlaces",
    "Term",
    "Tracks",
    "Word",
    "canonical",
    "canonical_written",
    "cycle",
    "fill",
    "fmt",
    "hint_for_unknown",
    "parse",
    "read_pattern",
    "read_tracks",
    "shortest",
    "shortest_cycle",
    "strings",
]
