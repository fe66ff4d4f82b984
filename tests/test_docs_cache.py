"""The page about caches: its examples run as written, and it names every operation."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from composer.nn import HybridCache

PAGE = (Path(__file__).parents[1] / "docs" / "cache.md").read_text(encoding="utf-8")


def test_examples_run() -> None:
    """One after the other, in one session."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    with torch.no_grad():
        exec(compile(code, "cache.md", "exec"), {})  # runs the page


def test_every_operation_is_on_the_page() -> None:
    """What the page does not name does not exist for its readers."""
    inner = {
        "batch_size",
        "named_slots",
        "memories",
        "require_whole",
        "require_room",
        "commit",
        "poison",
        "limit",
    }
    public = {name for name in dir(HybridCache) if not name.startswith("_")} - inner

    assert set() == {name for name in public if not re.search(rf"\b{name}\b", PAGE)}
