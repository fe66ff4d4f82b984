"""Every errata test compares results alone: no gradients, and nothing of what the library reports on the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers.utils import logging


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """No gradients, no log and no progress bar of the library; all of them are back afterwards."""
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with torch.no_grad():
        yield
    logging.set_verbosity(level)
    if bar:
        logging.enable_progress_bar()
