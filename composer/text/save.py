"""A tokenizer's files, saved byte for byte and all or none."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from composer.errors import TextError, fail
from composer.text.files import FILES, TEMPLATES, TOKENIZER, originals_in


class Sources:
    """The files a tokenizer came from, with what tells whether they changed since.

    `made` are those that were made of `file` and are saved beside it.
    """

    def __init__(self, file: Path, folder: Path | None, made: Mapping[str, bytes]) -> None:
        self.file, self.made = file, made
        found = [file] if folder is None else [folder / name for name in FILES]
        found += [*sorted((folder / TEMPLATES).glob("*.jinja")), *originals_in(folder)] if folder else []
        self.stamps = {one: stamp(one) for one in found if one.is_file()}

    def target(self, source: Path) -> Path:
        """Where `source` goes, relative to the folder it is saved in."""
        if source == self.file and not self.made:
            return Path(TOKENIZER)
        return source.relative_to(self.file.parent)

    def save(self, folder: Path) -> None:
        """Stage every file beside its place, then rename them all; E611 leaves no file half written."""
        files = {source: folder / self.target(source) for source in self.stamps}
        self._check_unchanged()
        check_no_others(folder, {*files.values(), *(folder / name for name in self.made)})
        staged: dict[Path, Path] = {}
        try:
            for source, place in files.items():
                with source.open("rb") as old:
                    staged[place] = stage(old, place)
            for name, content in self.made.items():
                staged[folder / name] = stage(io.BytesIO(content), folder / name)
            for place, ready in staged.items():
                ready.replace(place)
        except OSError as error:
            where = repr(str(folder))
            fail(TextError, "E611", f"the tokenizer cannot be saved in {where}: {error.strerror or error}")
        finally:
            for ready in staged.values():
                ready.unlink(missing_ok=True)

    def _check_unchanged(self) -> None:
        for source, seen in self.stamps.items():
            if not source.is_file() or stamp(source) != seen:
                hint = "load the tokenizer again, then save it"
                fail(TextError, "E611", f"{str(source)!r} changed or went away since it was read", hint=hint)


def stamp(file: Path) -> tuple[int, int]:
    """Size and time of change of a file."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def stage(old: BinaryIO, place: Path) -> Path:
    """A complete copy of an open file beside `place`, on the disk before anything is renamed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    ready = place.with_name(f".{place.name}.{os.getpid()}.part")
    with ready.open("wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())
    return ready


def check_no_others(folder: Path, ours: set[Path]) -> None:
    """Files of another tokenizer would change how the saved one is read."""
    others = [folder / name for name in FILES if (folder / name).exists()]
    others += originals_in(folder) if folder.is_dir() else []
    stray = [place.name for place in dict.fromkeys(others) if place not in ours]
    if stray:
        hint = "choose another folder, or remove them"
        message = f"{str(folder)!r} has files of another tokenizer: {', '.join(stray)}"
        fail(TextError, "E611", message, hint=hint)
