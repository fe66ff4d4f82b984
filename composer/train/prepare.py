"""What a run reads: its vocabulary, and its text as token ids."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from composer.errors import UsageError, fail
from composer.text import load_tokenizer

from .corpus import Document
from .folder import SCRATCH, TOKENIZER
from .options import TrainOptions
from .tokens import Tokens, write_tokens
from .vocabulary import SMALLEST, save_tokenizer, train_tokenizer

if TYPE_CHECKING:
    import tokenizers

    from composer.plan import Plan


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def choose_vocabulary(
    folder: Path, plan: Plan, documents: list[Document], settings: TrainOptions
) -> tokenizers.Tokenizer:
    """The run's tokenizer, kept in `folder`: the one given, or one learnt; E953 if it misfits."""
    from tokenizers import Tokenizer

    wanted = plan.sizes.vocab_size
    if not (folder / "tokenizer.json").exists():
        if settings.tokenizer:
            folder.mkdir()
            load_tokenizer(settings.tokenizer).save(folder)
        else:
            save_tokenizer(_learn(documents, wanted), folder, plan.sizes.max_position_embeddings)
    size = load_tokenizer(folder).vocab_size
    if size != wanted:
        fail(
            UsageError,
            "E953",
            f"the tokenizer has {size:,} tokens and the spec's vocab_size is {wanted:,}",
            hint=f"--set vocab_size={size} makes the spec fit",
        )
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.encode_special_tokens = True  # a text that spells out </s> does not end there
    return backend


def _learn(documents: list[Document], vocab_size: int) -> tokenizers.Tokenizer:
    """A vocabulary of exactly `vocab_size` from the training files; E953 or E952 where that cannot be."""
    if vocab_size < SMALLEST:
        fail(
            UsageError,
            "E953",
            f"vocab_size is {vocab_size:,}; a byte-fallback vocabulary starts at {SMALLEST:,} tokens",
            hint=f"--set vocab_size={SMALLEST} or more, or give a tokenizer",
        )
    learnt = train_tokenizer((piece for document in documents for piece in document.pieces()), vocab_size)
    if (size := learnt.get_vocab_size()) < vocab_size:
        fail(
            UsageError,
            "E952",
            f"the text yields only {size:,} different tokens; the spec's vocab_size is {vocab_size:,}",
            hint=f"--set vocab_size={size} makes the spec fit; or give more text or a tokenizer",
        )
    return learnt


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder for the token files, gone when the run ends."""
    path = folder / SCRATCH
    path.mkdir(exist_ok=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def read_tokens(documents: list[Document], backend: tokenizers.Tokenizer, folder: Path, path: Path) -> Tokens:
    """The documents as ids, each between the vocabulary's tokens for the beginning and the end of a text."""
    named = load_tokenizer(folder / TOKENIZER)

    def encode(text: str) -> list[int]:
        ids: list[int] = backend.encode(text, add_special_tokens=False).ids
        return ids

    begin, end = ([] if i is None else [i] for i in (named.bos_token_id, named.eos_token_id))
    return write_tokens(documents, encode, path, named.vocab_size, begin, end)
