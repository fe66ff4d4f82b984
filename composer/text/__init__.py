"""Text in, token ids out, and back: published `tokenizer.json` folders and a stream of exact pieces.

    tokenizer = load_tokenizer("checkpoint-folder")
    ids = tokenizer.encode("Hello")
    tokenizer.decode(ids) == "Hello"

Importing this package imports neither `tokenizers` nor torch; loading imports the first, a batch the second.
"""

from __future__ import annotations

from composer.text.batch import Batch
from composer.text.stream import TokenStream
from composer.text.tokenizer import Tokenizer, load_tokenizer

__all__ = ["Batch", "TokenStream", "Tokenizer", "load_tokenizer"]
