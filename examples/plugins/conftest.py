"""The plugins of this folder are found without being installed; each is a distribution of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the first import of the library that reads it

for project in sorted(Path(__file__).parent.glob("*/pyproject.toml")):
    sys.path.insert(0, str(project.parent))
