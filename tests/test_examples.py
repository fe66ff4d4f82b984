"""Examples run as their first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_patterns_are_compared_without_torch() -> None:
    """Fewer full layers need less cache, and parameters stay."""
    code = f"""
import runpy, sys
sys.argv = ["compare_patterns.py"]
runpy.run_path({str(EXAMPLES / "compare_patterns.py")!r}, run_name="__main__")
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    rows = [line.rsplit(maxsplit=3) for line in done.stdout.splitlines()[1:]]
    assert ["full", "swa×5, full", "swa×3, full", "swa"] == [row[0].strip() for row in rows]
    cache = {row[0].strip(): float(row[3]) for row in rows}
    assert cache["swa"] < cache["swa×5, full"] < cache["swa×3, full"] < cache["full"]
    assert len({row[1] for row in rows}) == 1
