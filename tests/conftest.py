"""What every test gets: fixed seeds, two threads, no network, and a place to report what was measured."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

PROVE = os.environ.get("COMPOSER_PROVE") == "1"
MEASURED = pytest.StashKey[dict[str, Any]]()

# Before the first import of the libraries that read them.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "2")

# Derandomised: the same examples on every machine, and no timing of single examples.
settings.register_profile("sample", derandomize=True, deadline=None, database=None)
settings.register_profile("prove", derandomize=True, deadline=None, database=None, max_examples=2000)
settings.load_profile("prove" if PROVE else "sample")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test starts from the same random state; torch is seeded only where a test module loaded it."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection is refused at once, as on a machine without a network."""

    def refuse(self: socket.socket, address: Any) -> NoReturn:
        raise OSError(f"tests have no network; one tried to connect to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str, Any], None]:
    """`measured("parity: configurations", 200)`: a row of the table that `prove` writes."""
    rows = request.config.stash[MEASURED]

    def record(name: str, value: Any) -> None:
        rows[name] = value

    return record


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After a full `prove` run: docs/measured.json, the numbers behind the documentation."""
    rows = session.config.stash[MEASURED]
    if PROVE and rows:
        target = Path(__file__).parent.parent / "docs" / "measured.json"
        known = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
        merged = dict(sorted({**known, **rows}.items()))
        target.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
