"""From a prompt to new tokens: options, the scores of the next token, the loop, and text as it comes.

    ids = generate(model, input_ids, max_new_tokens=64, do_sample=True, top_p=0.9, seed=0)
    for piece in stream(model, tokenizer, "def fib(", max_new_tokens=64): ...

Names, meanings and defaults of the options are those of transformers; `seed` is ours.
"""

from __future__ import annotations

from composer.generate.config_file import from_generation_config, read_generation_config, to_generation_config
from composer.generate.loop import generate
from composer.generate.options import GenerationOptions
from composer.generate.stream import stream

__all__ = [
    "GenerationOptions",
    "from_generation_config",
    "generate",
    "read_generation_config",
    "stream",
    "to_generation_config",
]
