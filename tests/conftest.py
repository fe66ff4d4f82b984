"""What every test gets: fixed seeds, one thread, no network."""

from __future__ import annotations

import os
import random
import socket
import sys
from typing import Any, NoReturn

import pytest
from hypothesis import settings

PROVE = os.environ.get("COMPOSER_PROVE") == "1"

# Before the first import of the libraries that read them.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if not PROVE:
    # The models of the sample are tiny: a second thread costs more time than it saves, most of all on a busy machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

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
