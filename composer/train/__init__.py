"""Training, small and whole: one process, a folder of text in, a checkpoint folder out.

    report = train("my-pattern.yaml", "texts/", "runs/tonight", steps=2000, batch_size=16)
    report.held_out_bits_per_byte

Meant for trying a pattern tonight; what it writes can be resumed, loaded and generated from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import TrainOptions

if TYPE_CHECKING:
    from .run import TrainReport, train

__all__ = ["TrainOptions", "TrainReport", "train"]


def __getattr__(name: str) -> Any:
    """The options alone import no torch: the command line describes them."""
    if name in ("TrainReport", "train"):
        from . import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
