"""Checkpoints: safetensors verified and read as they lie, folders written so that a crash loses nothing."""

from __future__ import annotations

from .checkpoint import Checkpoint
from .materialize import materialize

__all__ = ["Checkpoint", "materialize"]
