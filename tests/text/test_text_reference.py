"""Ids equal those of the Mistral vocabularies read by SentencePiece; the differences are known and few."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from composer.text import load_tokenizer

from .. import prove

VERSIONS = {"v1": "tokenizer.model.v1", "v3": "mistral_instruct_tokenizer_240323.model.v3"}


def test_ids_of_v1_on_the_multilingual_sample(request: pytest.FixtureRequest, sample: list[str]) -> None:
    """Every line and the whole give the reference's ids and come back as they were."""
    ours, theirs = both("v1", request)
    for text in sample:
        assert theirs.encode(text, bos=True, eos=False) == ours.encode(text), text
        assert text == theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text))


def test_ids_of_v3_on_the_multilingual_sample(request: pytest.FixtureRequest, sample: list[str]) -> None:
    """The same, but for lines that begin with a space (see the known differences below)."""
    ours, theirs = both("v3", request)
    differing = [text for text in sample if theirs.encode(text, bos=True, eos=False) != ours.encode(text)]
    assert [text for text in sample if text.startswith(" ")] == differing
    for text in set(sample) - set(differing):
        assert text == theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text))


@pytest.mark.parametrize("version", VERSIONS)
def test_ids_on_random_characters(version: str, request: pytest.FixtureRequest) -> None:
    """Characters of all planes with many spaces, most of them spelt in bytes."""
    ours, theirs = both(version, request)
    random.seed(version)
    count = prove.cases(500, 5_000)
    for _ in range(count):
        text = "." + "".join(random_character() for _ in range(random.randrange(30)))
        assert theirs.encode(text, bos=True, eos=False) == ours.encode(text), ascii(text)
    prove.counted(f"ids of random texts equal SentencePiece's, {version}", count)


def test_known_difference_special_tokens_in_a_text(request: pytest.FixtureRequest) -> None:
    """The reference spells them out, so that a text cannot steer; AutoTokenizer and we read them."""
    for version in VERSIONS:
        ours, theirs = both(version, request)
        assert 2 in ours.encode("a</s>b")
        assert 2 not in theirs.encode("a</s>b", bos=True, eos=False)


def test_known_difference_a_space_at_the_start(request: pytest.FixtureRequest) -> None:
    """v3's tokenizer.json puts no word mark before a text that begins with a space; it loses one space."""
    ours, theirs = both("v3", request)
    for text in (" one", "  two", "   ", "\u2581"):
        assert theirs.encode("a" + text, bos=True, eos=False) == ours.encode("a" + text)
        assert theirs.encode(text, bos=True, eos=False) != ours.encode(text)
        assert text.replace("\u2581", " ")[1:] == ours.decode(ours.encode(text))
    ours, theirs = both("v1", request)
    for text in (" one", "  two", "   ", "\u2581"):
        assert theirs.encode(text, bos=True, eos=False) == ours.encode(text)


def test_vectors(mistral_v1: Path, mistral_v3: Path) -> None:
    """Ids that were noted from the original implementation."""
    assert [1, 22557, 1526] == load_tokenizer(mistral_v1).encode("Hello world")
    assert [1, 23325, 2294] == load_tokenizer(mistral_v3).encode("Hello world")
    assert [3, 23325, 4] == load_tokenizer(mistral_v3).encode("[INST] Hello[/INST]", add_special_tokens=False)


def both(version: str, request: pytest.FixtureRequest) -> tuple[Any, Any]:
    import mistral_common
    from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer

    model = Path(mistral_common.__file__).parent / "data" / VERSIONS[version]
    return load_tokenizer(request.getfixturevalue(f"mistral_{version}")), SentencePieceTokenizer(model)


def random_character() -> str:
    low, high = random.choice(
        [(32, 33), (32, 33), (10, 11), (33, 127), (160, 0x3000), (0x3000, 0xD800), (0xE000, 0x110000)]
    )
    return chr(random.randrange(low, high))
