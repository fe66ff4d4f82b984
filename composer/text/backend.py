"""The `tokenizers` library behind one door: files opened, every failure of it turned into a TextError."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from composer.errors import Problem, TextError, fail
from composer.text.files import MOST_TOKENIZER, place_in, read_bytes, text_of
from composer.text.growth import check_growth, check_tables

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

T = TypeVar("T")

FATAL = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, TextError)


def open_backend(file: Path, made: bytes | None = None) -> tuple[Backend, dict[str, Any] | None]:
    """The tokenizer in `file` and the padding written in it; that and any truncation are switched off.

    `made` is the tokenizer.json that was made of `file`, which is then another vocabulary.
    """
    from tokenizers import Tokenizer as Backend

    text = text_of(read_bytes(file, MOST_TOKENIZER) if made is None else made, file, "E602")
    check_tables(text, file)
    try:
        backend = Backend.from_str(text)
        padding = backend.padding
        backend.no_padding()
        backend.no_truncation()
    except BaseException as error:
        if isinstance(error, FATAL):
            raise
        message, place = place_in(str(error), file, text)
        hint = "a tokenizer.json as the tokenizers library writes it is wanted; is the download complete?"
        raise TextError(Problem("E602", f"this is not a tokenizer: {message}", place, hint=hint)) from None
    check_growth(backend, file)
    return backend, padding


def guarded(work: Callable[[], T], doing: str) -> T:
    """`work()`, its failure as TextError E612.

    The library reports some failures (a regular expression that backtracks for ever) as panics, which are no
    ordinary exceptions.
    """
    try:
        return work()
    except BaseException as error:
        if isinstance(error, FATAL):
            raise
        hint = "a regular expression or a rule in its tokenizer.json does not fit this text"
        fail(TextError, "E612", f"the tokenizer failed while {doing}: {error}", hint=hint)


def special_contents(backend: Backend) -> set[str]:
    """The tokens that a decode leaves out when it skips special ones."""
    return {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
