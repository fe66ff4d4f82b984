"""Streamed pieces concatenate to the whole decode, for any ids and any decoder."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.text import Tokenizer, load_tokenizer

from .. import prove

SEQUENCES = prove.cases(1_000, 10_000)
MARK = "\u2581"
REPLACE = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}

# Decoders with an incremental twin of every step, and those that give their text at the end.
STREAMING: dict[str, Any] = {
    "no decoder": None,
    "metaspace always": {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True},
    "metaspace never": {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "never", "split": False},
    "metaspace first": {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first", "split": False},
    "byte level": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "word pieces": {"type": "WordPiece", "prefix": "##", "cleanup": False},
    "word pieces cleaned": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "word ends": {"type": "BPEDecoder", "suffix": "</w>"},
    "three stripped": {"type": "Sequence", "decoders": [REPLACE, {"type": "Fuse"}, STRIP | {"start": 3}]},
    "replaced after fusing": {
        "type": "Sequence",
        "decoders": [
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            REPLACE | {"pattern": {"String": "abab"}},
            STRIP,
        ],
    },
    "nested": {
        "type": "Sequence",
        "decoders": [
            {"type": "Sequence", "decoders": [REPLACE, {"type": "ByteFallback"}]},
            {"type": "Fuse"},
            STRIP,
        ],
    },
}
AT_THE_END: dict[str, Any] = {
    "a regular expression": {"type": "Replace", "pattern": {"Regex": "a+b"}, "content": "x"},
    "doubled letters dropped": {
        "type": "CTC",
        "pad_token": "<pad>",
        "word_delimiter_token": "|",
        "cleanup": False,
    },
    "stripped in two ways": {
        "type": "Sequence",
        "decoders": [{"type": "Fuse"}, STRIP, {"type": "ByteFallback"}],
    },
    "an empty pattern": {"type": "Replace", "pattern": {"String": ""}, "content": "-"},
}
TOKENS = [
    "<unk>", "<s>", "</s>", "", " ", MARK, MARK * 3, f"{MARK}a", "a", "b", "ab", "ba", "##a", "##", "a</w>",
    "</w>", f"a{MARK}b", "n't", ".", " .", "\u00e9", "\u4f60", "<0xZZ>", "<0xe4>", "<0x+4>", "0x41", "|",
    "\u0120a", "\u0120", "\u010a", "\u00c3", "\u00a9", "\u00e4", "\u00bd", "\u0142", "\u00f0", "\u00ed",
    "\u0142\u0122",
]  # fmt: skip


@pytest.mark.parametrize("version", ["v1", "v3"])
@pytest.mark.parametrize("skipping", [True, False])
def test_byte_fallback_of_mistral(version: str, skipping: bool, request: pytest.FixtureRequest) -> None:
    """The Done-when count: byte runs valid, invalid, cut, interrupted by special tokens and by words."""
    tokenizer = load_tokenizer(request.getfixturevalue(f"mistral_{version}"))
    hexes = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)]
    random.seed(version)
    for _ in range(SEQUENCES):
        assert_streams(tokenizer, byte_sequence(hexes, tokenizer.vocab_size), skipping)
    prove.counted("streamed pieces equal the whole decode, byte fallback", SEQUENCES)


@pytest.mark.parametrize("name", [*STREAMING, *AT_THE_END])
def test_every_kind_of_decoder(name: str, make: Callable[..., Path]) -> None:
    """Awkward tokens in any order: empty, spaces, marks, stray bytes, prefixes, suffixes, special ones."""
    tokenizer = load_tokenizer(awkward(make, (STREAMING | AT_THE_END)[name]))
    random.seed(name)
    for _ in range(SEQUENCES):
        ids = [random.randrange(tokenizer.vocab_size) for _ in range(random.randrange(12))]
        assert_streams(tokenizer, ids, random.random() < 0.5)
    prove.counted("streamed pieces equal the whole decode, other decoders", SEQUENCES)


@pytest.mark.parametrize("skipping", [True, False])
def test_cleaned_spaces(make: Callable[..., Path], skipping: bool) -> None:
    """A decode that takes spaces out before punctuation, over pieces that cut its patterns anywhere."""
    words = [*" .?!,'nm", " n", "'t", "'s", "'v", "e", "re", " '", "' "]
    fuse = {"type": "Fuse"}
    config = {"clean_up_tokenization_spaces": True}
    tokenizer = load_tokenizer(make({"model": word_level(words), "decoder": fuse}, tokenizer_config=config))
    for _ in range(SEQUENCES // 2):
        assert_streams(tokenizer, [random.randrange(tokenizer.vocab_size) for _ in range(20)], skipping)


@pytest.mark.parametrize("name", STREAMING)
def test_text_comes_before_the_end(name: str, make: Callable[..., Path]) -> None:
    """Plain words are not held back for longer than one more token."""
    tokenizer = load_tokenizer(awkward(make, STREAMING[name]))
    stream = tokenizer.stream()
    ids = [TOKENS.index("b")] * 10
    pieces = [stream.put(one) for one in ids]
    assert all(pieces[1:])
    assert tokenizer.decode(ids) == "".join(pieces) + stream.end()


def test_a_character_of_bytes_is_given_whole(mistral_v1: Path) -> None:
    """No piece ends inside a character, and a run of bytes waits for the token that ends it."""
    tokenizer = load_tokenizer(mistral_v1)
    stream = tokenizer.stream()
    ids = tokenizer.encode("a \U0001f999!", add_special_tokens=False)
    pieces = [stream.put(one) for one in ids]
    assert ["a", " ", "", "", "", "", "\U0001f999!"] == pieces
    assert "" == stream.end()


def test_a_run_with_one_bad_byte_is_all_replaced(mistral_v1: Path) -> None:
    """As the whole decode does: each byte of the run becomes a replacement character, also the good ones."""
    tokenizer = load_tokenizer(mistral_v1)
    bad = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in (0xE4, 0xBD, 0xA0, 0xFF)]
    stream = tokenizer.stream()
    assert "" == "".join(map(stream.put, bad))
    assert "\ufffd" * 4 == stream.end() == tokenizer.decode(bad)


def test_a_stream_begins_anew_after_its_end(mistral_v1: Path) -> None:
    """The first word of the second text loses its space again."""
    tokenizer = load_tokenizer(mistral_v1)
    stream = tokenizer.stream()
    ids = tokenizer.encode("Hello world")
    texts = ["".join(map(stream.put, ids)) + stream.end() for _ in range(2)]
    assert ["Hello world"] * 2 == texts


def test_long_texts_take_linear_time(mistral_v1: Path) -> None:
    """Sixteen times the tokens take about sixteen times as long, words or one endless run of bytes."""
    tokenizer = load_tokenizer(mistral_v1)
    for ids in ([tokenizer.token_to_id("<0xF0>")], tokenizer.encode("Hello world", False)):
        short, long = (min(seconds(tokenizer, ids * n) for _ in range(3)) for n in (2_000, 32_000))
        assert long < 16 * 4 * short


def assert_streams(tokenizer: Tokenizer, ids: list[int], skipping: bool) -> None:
    stream = tokenizer.stream(skipping)
    pieces = [stream.put(one) for one in ids]
    assert tokenizer.decode(ids, skipping) == "".join(pieces) + stream.end(), (ids, skipping, pieces)


def byte_sequence(hexes: list[int | None], vocabulary: int) -> list[Any]:
    """Characters as bytes, some damaged, with random bytes, words and special tokens between."""
    ids: list[Any] = []
    for _ in range(random.randrange(1, 6)):
        coded = [hexes[byte] for byte in chr(random.choice([0x61, 0xE9, 0x4F60, 0x1F999])).encode()]
        noise = [hexes[random.randrange(256)] for _ in range(random.randrange(3))]
        damage = random.choice([coded, coded, coded[:-1], coded[1:], noise])
        ids += [*damage, *random.choices([[], [random.randrange(3)], [random.randrange(vocabulary)]])[0]]
    return ids


def awkward(make: Callable[..., Path], decoder: Any) -> Path:
    return make(
        {"model": word_level(TOKENS + [f"<0x{b:02X}>" for b in range(0x7E, 0x100, 3)]), "decoder": decoder}
    )


def word_level(tokens: list[str]) -> dict[str, Any]:
    known = ["<unk>", "<s>", "</s>", *(token for token in tokens if token not in ("<unk>", "<s>", "</s>"))]
    return {"type": "WordLevel", "vocab": {token: i for i, token in enumerate(known)}, "unk_token": "<unk>"}


def seconds(tokenizer: Tokenizer, ids: list[Any]) -> float:
    stream = tokenizer.stream()
    start = time.process_time()
    text = "".join(map(stream.put, ids)) + stream.end()
    assert text
    return time.process_time() - start
