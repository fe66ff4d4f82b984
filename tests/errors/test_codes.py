"""The list of error codes: every one that the host can raise is provoked by a test beside this one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\bE[1-9]\d\d\b")


def codes_in(folder: Path) -> dict[str, set[str]]:
    """Each code with the files that name it."""
    found: dict[str, set[str]] = {}
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.yaml")]):
        if path != Path(__file__):
            for code in CODE.findall(path.read_text(encoding="utf-8")):
                found.setdefault(code, set()).add(path.relative_to(ROOT).as_posix())
    return found


RAISED = codes_in(ROOT / "composer")


def test_every_code_is_asserted() -> None:
    """A code without a test is a sentence that nobody has read."""
    asserted = codes_in(ROOT / "tests" / "errors")

    assert {} == {code: files for code, files in RAISED.items() if code not in asserted}


def test_plugins_raise_no_codes() -> None:
    """Codes belong to the host; a block says what is wrong in words, and the host adds code and place."""
    assert {} == codes_in(ROOT / "plugins")
