"""The vocabulary that a run learns: published ids, nothing unknown, nothing lost."""

from __future__ import annotations

import inspect
import json
import string
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from composer.train.vocabulary import BYTES, SMALLEST, save_tokenizer, train_tokenizer

SIZE = 600
TEXTS = [inspect.getsource(module) for module in (json, string, textwrap)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, SIZE)


def there_and_back(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)


def test_ids_stand_where_published_vocabularies_have_them(tokenizer: Tokenizer) -> None:
    """unk 0, bos 1, eos 2, then the 256 bytes; exactly as many tokens as asked for."""
    assert [tokenizer.id_to_token(n) for n in range(3)] == ["<unk>", "<s>", "</s>"]
    assert tuple(tokenizer.id_to_token(n) for n in range(3, 259)) == BYTES
    assert tokenizer.get_vocab_size() == SIZE


def test_a_text_begins_with_bos(tokenizer: Tokenizer) -> None:
    """And ends without eos, as published tokenizers of this layout do."""
    assert tokenizer.encode("import os").ids[0] == 1
    assert 2 not in tokenizer.encode("import os").ids


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    if x:\n\t\treturn  'a'\r\n\r\n\n\n  # end  ",
        "naïve 日本語 👩‍👩‍👧 ▁ \u200b \x00 \x7f \ufeff",
        "<0x41> is not A, <s> is text",
        "",
        " ",
        "\n",
    ],
)
def test_source_comes_back_byte_for_byte(tokenizer: Tokenizer, text: str) -> None:
    """Indentation, tabs, line ends and characters that the vocabulary lacks."""
    assert there_and_back(tokenizer, text) == text


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    """Whatever Unicode holds, but for lone surrogates, which are no text."""
    assert there_and_back(_SMALL, text) == text


_SMALL = train_tokenizer(TEXTS[:1], SMALLEST + 20)


def test_the_same_text_teaches_the_same_vocabulary(tokenizer: Tokenizer) -> None:
    """Bit for bit, so that a run can be repeated."""
    assert train_tokenizer(TEXTS, SIZE).to_str() == tokenizer.to_str()


def test_transformers_reads_it_alike(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """The two files are enough for the library that most readers come from."""
    from transformers import AutoTokenizer

    save_tokenizer(tokenizer, tmp_path, 256)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXTS[0]).input_ids == tokenizer.encode(TEXTS[0]).ids
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.unk_token_id) == (1, 2, 0)
    assert theirs.decode(theirs(TEXTS[0]).input_ids, skip_special_tokens=True) == TEXTS[0]
