"""A pattern on the command line: of one track, or of several as in `mixer: mamba×4, full; ffn: mlp, moe`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from composer.errors import Path, Place, SpecError, fail
from composer.pattern.scan import in_text

MOST_NAMED = 200
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_PART = re.compile(r"[^;]+")
_TRACK = re.compile(r"\s*(?:([A-Za-z_][\w-]*)\s*:)?\s*")


@dataclass(frozen=True)
class Typed:
    """What a command line says of a spec, with the place of each pattern in the text that was typed."""

    text: str
    name: str
    tracks: dict[str, tuple[int, int]]

    @property
    def data(self) -> dict[str, str | dict[str, str]]:
        """What it says of a spec."""
        parts = {track: self.text[start:end] for track, (start, end) in self.tracks.items()}
        return {"pattern": parts or self.text, "name": self.name}

    def place(self, path: Path, key: bool = False) -> Place | None:
        """The whole pattern, or that of a track."""
        start, end = self.part(path)
        return in_text(self.text)(start, end - start)

    def scalar_place(self, path: Path, start: int, width: int) -> Place | None:
        """A stretch of the pattern at a key path."""
        return in_text(self.text)(self.part(path)[0] + start, width)

    def part(self, path: Path) -> tuple[int, int]:
        """Where the pattern at a key path begins and ends."""
        return self.tracks.get(str(path[1]) if len(path) > 1 else "", (0, len(self.text)))


def typed(text: str, name: str) -> Typed:
    """A pattern that was typed; `name` is that of the model it makes.

    Raises SpecError E202 where some parts between ";" have the name of a track and some have none, or two the
    same.
    """
    found = list(parts(text))
    if not any(track for track, _, _ in found):
        return Typed(text, name[:MOST_NAMED], {})
    tracks: dict[str, tuple[int, int]] = {}
    for track, start, end in found:
        if not track or track in tracks:
            message = f"the track {track!r} stands twice" if track else "expected the name of a track"
            place, hint = in_text(text)(start, end - start), "write mixer: mamba×4, full; ffn: mlp, moe"
            fail(SpecError, "E202", message, place=place, path="pattern", hint=hint)
        tracks[track] = (start, end)
    return Typed(text, name[:MOST_NAMED], tracks)


def parts(text: str) -> Iterator[tuple[str, int, int]]:
    """The name of a track or none, and where its pattern begins and ends; values in quotes are left alone."""
    plain = _QUOTED.sub(lambda match: "_" * len(match[0]), text)
    for part in _PART.finditer(plain):
        lead = _TRACK.match(part[0])
        assert lead is not None  # all of it is optional
        if part[0].strip():
            yield lead[1] or "", part.start() + lead.end(), part.start() + len(part[0].rstrip())
