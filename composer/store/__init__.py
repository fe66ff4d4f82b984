"""Checkpoints: safetensors verified and read as they lie, folders written so that a crash loses nothing."""

from __future__ import annotations

from .cache_file import load_cache, save_cache
from .checkpoint import Checkpoint
from .load import load
from .materialize import materialize
from .save import save
from .write import save_tensors

__all__ = ["Checkpoint", "load", "load_cache", "materialize", "save", "save_cache", "save_tensors"]
