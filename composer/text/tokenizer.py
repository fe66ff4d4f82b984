"""A published tokenizer: text to ids, ids to text, batches, streams."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from composer.errors import TextError, fail
from composer.text.backend import guarded, open_backend, special_contents
from composer.text.batch import Batch, check_length, check_shape, rectangle
from composer.text.files import (
    ADDED,
    CONFIG,
    GENERATION,
    MODEL_CONFIG,
    SPECIAL,
    TOKENIZER,
    find,
    is_original,
    read_config,
)
from composer.text.original import converted
from composer.text.save import Sources
from composer.text.special import Specials, content, padding_side
from composer.text.stream import TokenStream, incremental

# What a cleaning decode takes the space out of, in this order.
SPACED = tuple((f" {end}", end) for end in (".", "?", "!", ","))
SPACED += (" ' ", "'"), *((f" {end}", end) for end in ("n't", "'m", "'s", "'ve", "'re"))
FORCED_CLEANING = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer of a checkpoint folder, a shipped model, or a tokenizer.json with the files beside it.

    A vocabulary as models are first published with (tekken.json, tokenizer.model.v3) is read where there is no
    tokenizer.json, and saved with the one that is made of it. A file by another name is read alone. Symbolic
    links are followed. Raises TextError: E601 nothing there, E602 the tokenizer cannot be read, E603 and E604 a
    file beside it is wrong, E605 too large or unreadable, E614 a vocabulary of a kind that is not read.
    """
    return Tokenizer(find(path))


class Tokenizer:
    """Ids and texts of one vocabulary; made by `load_tokenizer`.

    Special tokens are treated as AutoTokenizer treats them: those written in a text become their ids, and
    `encode` adds what the file's post-processor adds.
    """

    def __init__(self, file: Path) -> None:
        made = converted(file) if is_original(file) else {}
        folder = file.parent if made or file.name == TOKENIZER else None
        self.config: dict[str, Any] = read_config(folder, CONFIG)
        if self.config:
            made.pop(CONFIG, None)
        elif made:
            self.config = json.loads(made[CONFIG])
        self.sources = Sources(file, folder, made)
        specials = Specials(self.config, read_config(folder, SPECIAL), read_config(folder, ADDED))
        self._model_ids = (read_config(folder, GENERATION), read_config(folder, MODEL_CONFIG))
        self._backend, padding = open_backend(file, made.get(TOKENIZER))
        before = special_contents(self._backend)
        guarded(lambda: specials.add_to(self._backend), "adding its special tokens")
        self._special = before | special_contents(self._backend)
        self._backend.encode_special_tokens = self.config.get("split_special_tokens") is True
        self._named = {"pad_token": padding["pad_token"]} if padding else {}
        self._named |= {key: content(value) for key, value in specials.named.items()}
        self.padding_side = padding_side(self.config, padding)

    def __repr__(self) -> str:
        return f"<Tokenizer of {self.vocab_size} tokens from {str(self.sources.file)!r}>"

    # ------------------------------------------------------------------ text to ids

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Ids of `text`, with the special tokens the tokenizer adds (often a leading bos) unless told not to.

        Raises TextError E606 for what is not a text, E612 when the tokenizer itself gives up.
        """
        check_text(text, "the text")
        encode = self._backend.encode
        return guarded(lambda: encode(text, add_special_tokens=add_special_tokens), "encoding").ids

    def batch(
        self,
        texts: Sequence[str],
        padding_side: str | None = None,
        pad_to_multiple_of: int | None = None,
        max_length: int | None = None,
        add_special_tokens: bool = True,
        pad_token_id: int | None = None,
    ) -> Batch:
        """Ids and attention mask of several texts, both (batch, longest text) of int64.

        `padding_side` is `left`, as generation wants, or `right`; by default as the files say, else `right`.
        `pad_token_id` is for files that name none. Raises TextError: E606 not texts, E608 no pad token
        where one is needed, E609 an impossible argument, E610 a text of more than `max_length` tokens.
        """
        side = self.padding_side if padding_side is None else padding_side
        check_shape(side, pad_to_multiple_of, max_length)
        check_texts(texts)
        encodings = guarded(
            lambda: self._backend.encode_batch(list(texts), add_special_tokens=add_special_tokens), "encoding"
        )
        rows = [encoding.ids for encoding in encodings]
        check_length(rows, max_length)
        pad = self.pad_token_id if pad_token_id is None else self._check_id(pad_token_id)
        return rectangle(rows, pad, side, pad_to_multiple_of)

    # ------------------------------------------------------------------ ids to text

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text of one sequence of ids (a list, a 1-D tensor); E607 for an id outside the vocabulary."""
        checked = [self._check_id(one) for one in plain(ids)]
        decode = self._backend.decode
        text = guarded(lambda: decode(checked, skip_special_tokens=skip_special_tokens), "decoding")
        for old, new in self._cleaning:
            text = text.replace(old, new)
        return text

    def stream(self, skip_special_tokens: bool = True) -> TokenStream:
        """A decoder for ids that come one by one; its pieces concatenate to `decode` of them all."""

        def token_of(token_id: int) -> str | None:
            token = self._backend.id_to_token(self._check_id(token_id))
            return None if skip_special_tokens and token in self._special else token

        decoder = self._backend.decoder
        state = json.loads(decoder.__getstate__()) if decoder else None
        return TokenStream(token_of, incremental(state, self._cleaning), lambda ids: self.decode(ids, False))

    @cached_property
    def _cleaning(self) -> tuple[tuple[str, str], ...]:
        """Replacements of `clean_up_tokenization_spaces`; BPE spells its spaces, so only force cleans it."""
        wanted = self.config.get("clean_up_tokenization_spaces") is True
        forced = self.config.get(FORCED_CLEANING) is True
        return SPACED if wanted and (forced or type(self._backend.model).__name__ != "BPE") else ()

    # ------------------------------------------------------------------ the vocabulary

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id, added tokens included: the rows that an embedding needs."""
        return 1 + max(self._backend.get_vocab(with_added_tokens=True).values(), default=-1)

    def token_to_id(self, token: str) -> int | None:
        """The id of a token of the vocabulary by its spelling there, None if there is no such token."""
        check_text(token, "the token")
        return self._backend.token_to_id(token)

    def id_to_token(self, token_id: int) -> str | None:
        """A token's spelling in the vocabulary; TextError E607 for an id out of it."""
        return self._backend.id_to_token(self._check_id(token_id))

    @property
    def special_tokens(self) -> dict[str, str]:
        """The named special tokens: `{"bos_token": "<s>", ...}`."""
        return dict(self._named)

    @property
    def bos_token_id(self) -> int | None:
        """The id that begins a text, None if the files name none."""
        return self._id_of("bos")

    @property
    def eos_token_id(self) -> int | None:
        """The id that ends a text; of several in generation_config.json the first."""
        return self._id_of("eos")

    @property
    def pad_token_id(self) -> int | None:
        """The id that fills rows, None if the files name none."""
        return self._id_of("pad")

    @property
    def unk_token_id(self) -> int | None:
        """The id of what the vocabulary cannot spell, None if the files name none."""
        return self._id_of("unk")

    def _id_of(self, role: str) -> int | None:
        """By the name in the tokenizer's files, else the number in the model's."""
        name = self._named.get(f"{role}_token")
        if name is not None:
            return self._backend.token_to_id(name)
        numbers = [config.get(f"{role}_token_id") for config in self._model_ids]
        first = [n[0] if isinstance(n, list) and n else n for n in numbers]
        return next((n for n in first if type(n) is int and 0 <= n < self.vocab_size), None)

    def _check_id(self, token_id: Any) -> int:
        """A plain int inside the vocabulary."""
        if isinstance(token_id, bool) or not hasattr(token_id, "__index__"):
            found = repr(token_id)
            fail(TextError, "E607", f"{found} is not a token id", found=found, hint="ids are whole numbers")
        number = token_id.__index__()
        if not 0 <= number < self.vocab_size:
            hint = f"ids run from 0 to {self.vocab_size - 1}; does the tokenizer belong to this model?"
            fail(TextError, "E607", f"id {number} is outside the vocabulary", found=str(number), hint=hint)
        return cast(int, number)

    # ------------------------------------------------------------------ files

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the tokenizer's files into `folder`, byte for byte as they were; TextError E611 if not.

        Those that were made of another vocabulary are written beside it.
        """
        self.sources.save(Path(folder))


def plain(ids: Any) -> list[Any]:
    """Ids as a list; tensors and arrays give theirs."""
    if isinstance(ids, str | bytes):
        hint = "decode takes ids, encode takes text"
        fail(TextError, "E607", f"{ids[:40]!r} is not a sequence of ids", hint=hint)
    listed = ids.tolist() if hasattr(ids, "tolist") else ids
    try:
        rows = [listed] if isinstance(listed, int) else list(listed)
    except TypeError:
        fail(TextError, "E607", f"a {type(ids).__name__} is not a sequence of ids", found=type(ids).__name__)
    if rows and isinstance(rows[0], list | tuple):
        fail(TextError, "E607", "these are several sequences of ids", hint="decode one row at a time")
    return rows


def check_texts(texts: Any) -> None:
    """TextError E606 unless `texts` is a non-empty list or tuple of texts."""
    if not isinstance(texts, list | tuple):
        hint = "give a list of texts, even for one"
        fail(TextError, "E606", f"a batch is a list of texts, not a {type(texts).__name__}", hint=hint)
    if not texts:
        fail(TextError, "E606", "the batch is empty", hint="give at least one text")
    for n, text in enumerate(texts):
        check_text(text, f"text {n}")


def check_text(text: Any, which: str) -> None:
    """TextError E606 unless `text` is a str of characters; half a surrogate pair is none."""
    if not isinstance(text, str):
        message = f"{which} is of type {type(text).__name__}, not str"
        fail(
            TextError,
            "E606",
            message,
            found=type(text).__name__,
            hint="bytes become text by .decode('utf-8')",
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        message = f"character {error.start} of {which} is half a surrogate pair"
        fail(TextError, "E606", message, hint="the text was decoded wrongly where it came from")
