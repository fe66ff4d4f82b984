"""From a prompt to new tokens: options, the scores of the next token, the loop, and text as it comes.

    ids = generate(model, input_ids, max_new_tokens=64, do_sample=True, top_p=0.9, seed=0)
    for piece in stream(model, tokenizer, "def fib(", max_new_tokens=64): ...

Names, meanings and defaults of the options are those of transformers; `seed` is ours.
Importing this package imports no torch before `generate` or `stream` is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from composer.generate.config_file import from_generation_config, read_generation_config, to_generation_config
from composer.generate.options import GenerationOptions

if TYPE_CHECKING:
    from composer.generate.loop import generate
    from composer.generate.streaming import stream

__all__ = [
    "GenerationOptions",
    "from_generation_config",
    "generate",
    "read_generation_config",
    "stream",
    "to_generation_config",
]

_HOMES = {"generate": "loop", "stream": "streaming"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
