"""Special tokens are treated as AutoTokenizer treats them, in the layouts of the 4.x and 5.x era."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.text import load_tokenizer

TEXTS = [
    "a b",
    "",
    "a</s>b",
    "<s>a",
    "a [PAD] b",
    " a  </s>  b ",
    "<x> a <x>b",
    "q",
    "a . b , c n't",
    "<y>a<z> b",
]
SPECIAL = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
EATS_SPACE = {**SPECIAL, "lstrip": True, "rstrip": True}
PADDING = {
    "strategy": "BatchLongest",
    "direction": "Left",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "<unk>",
}
BOTH_ENDS = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", 1), ("</s>", 2))},
}

# name: (parts of tokenizer.json, the files beside it)
LAYOUTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tokenizer.json alone": ({}, {}),
    "names as strings": (
        {},
        {"tokenizer_config": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}},
    ),
    "names as typed mappings": (
        {},
        {"tokenizer_config": {"eos_token": {"__type": "AddedToken", "content": "</s>", **SPECIAL}}},
    ),
    "names of null": ({}, {"tokenizer_config": {"pad_token": None, "eos_token": "</s>"}}),
    "a pad token that the vocabulary lacks": (
        {"post_processor": BOTH_ENDS},
        {"tokenizer_config": {"pad_token": "[PAD]", "eos_token": "</s>"}},
    ),
    "a name that is an ordinary token": ({}, {"tokenizer_config": {"eos_token": "b", "pad_token": "c"}}),
    "rules in added_tokens_decoder": (
        {},
        {
            "tokenizer_config": {
                "added_tokens_decoder": {
                    "2": {"content": "</s>", **EATS_SPACE},
                    "7": {"content": "<y>", **EATS_SPACE, "special": False},
                    "6": {"content": "<x>", **SPECIAL},
                },
                "eos_token": "</s>",
                "pad_token": "<y>",
            },
            "special_tokens_map": {"bos_token": "a"},
        },
    ),
    "special_tokens_map has the last word": (
        {},
        {
            "tokenizer_config": {"eos_token": "a"},
            "special_tokens_map": {
                "eos_token": {
                    "content": "</s>",
                    "lstrip": True,
                    "normalized": False,
                    "rstrip": False,
                    "single_word": False,
                },
                "additional_special_tokens": ["<x>", "<y>"],
            },
        },
    ),
    "added_tokens.json": (
        {},
        {"added_tokens": {"<z>": 7, "<x>": 6}, "special_tokens_map": {"pad_token": "<x>"}},
    ),
    "extra tokens as a list": ({}, {"tokenizer_config": {"extra_special_tokens": ["<x>", "<y>"]}}),
    "additional tokens as a list": ({}, {"tokenizer_config": {"additional_special_tokens": ["<y>", "<x>"]}}),
    "extra tokens by name": (
        {},
        {"tokenizer_config": {"extra_special_tokens": {"x_token": "<x>"}, "y_token": "<y>"}},
    ),
    "padding written in tokenizer.json": ({"padding": PADDING}, {"tokenizer_config": {"eos_token": "</s>"}}),
    "truncation written in tokenizer.json": (
        {"truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}},
        {},
    ),
    "bos and eos around": ({"post_processor": BOTH_ENDS}, {"tokenizer_config": {"add_bos_token": False}}),
    "asked for, but not in the post-processor": (
        {},
        {
            "tokenizer_config": {
                "add_bos_token": True,
                "add_eos_token": True,
                "bos_token": "<s>",
                "eos_token": "</s>",
            }
        },
    ),
    "special tokens split": ({}, {"tokenizer_config": {"split_special_tokens": True, "eos_token": "</s>"}}),
    "cleaned spaces": ({}, {"tokenizer_config": {"clean_up_tokenization_spaces": True}}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ids_and_texts_are_autotokenizers(layout: str, make: Callable[..., Path]) -> None:
    """Encode with and without special tokens, decode with and without skipping them, for each layout."""
    parts, files = LAYOUTS[layout]
    folder = make(vocabulary() | parts, **files)
    ours, theirs = load_tokenizer(folder), auto(folder)
    assert len(theirs) == ours.vocab_size
    for text in TEXTS:
        for adding in (True, False):
            ids = theirs.encode(text, add_special_tokens=adding)
            assert ids == ours.encode(text, adding), text
            for skipping in (True, False):
                expected = theirs.decode(ids, skip_special_tokens=skipping)
                assert expected == ours.decode(ids, skipping)
                stream = ours.stream(skipping)
                assert expected == "".join(map(stream.put, ids)) + stream.end()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_named_tokens_are_autotokenizers(layout: str, make: Callable[..., Path]) -> None:
    """The ids of bos, eos, pad and unk, and every named token."""
    parts, files = LAYOUTS[layout]
    folder = make(vocabulary() | parts, **files)
    ours, theirs = load_tokenizer(folder), auto(folder)
    for role in ("bos", "eos", "pad", "unk"):
        assert getattr(theirs, f"{role}_token_id") == getattr(ours, f"{role}_token_id"), role
    assert theirs.special_tokens_map == ours.special_tokens
    assert theirs.padding_side == ours.padding_side


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_real_vocabularies_are_autotokenizers(
    version: str, request: pytest.FixtureRequest, sample: list[str]
) -> None:
    """Both Mistral vocabularies, on the multilingual sample and on texts with special tokens in them."""
    folder = request.getfixturevalue(f"mistral_{version}")
    ours, theirs = load_tokenizer(folder), auto(folder)
    for text in [*sample, "a</s>b", "<s> x", "[INST] a [/INST]", "  two", " ▁ ", "<0x41>"]:
        ids = theirs.encode(text)
        assert ids == ours.encode(text)
        assert theirs.encode(text, add_special_tokens=False) == ours.encode(text, False)
        assert theirs.decode(ids, skip_special_tokens=True) == ours.decode(ids)
        assert theirs.decode(ids) == ours.decode(ids, skip_special_tokens=False)


def test_model_files_name_ids_when_the_tokenizer_does_not(make: Callable[..., Path]) -> None:
    """generation_config.json goes before config.json; the first of several; none outside the vocabulary."""
    folder = make(
        {},
        generation_config={"eos_token_id": [2, 3], "pad_token_id": None},
        config={"eos_token_id": 1, "bos_token_id": 1, "pad_token_id": 99},
    )
    tokenizer = load_tokenizer(folder)
    assert (1, 2, None) == (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)


def vocabulary() -> dict[str, Any]:
    """A vocabulary with the punctuation that a cleaning decode looks for."""
    tokens = ["<unk>", "<s>", "</s>", "a", "b", "c", ".", ",", "n't"]
    return {
        "model": {"type": "WordLevel", "vocab": {t: i for i, t in enumerate(tokens)}, "unk_token": "<unk>"}
    }


def auto(folder: Path) -> Any:
    """AutoTokenizer on the tokenizers backend; without the flag, mistral-common is chosen if installed."""
    from transformers import AutoTokenizer

    config = folder / "config.json"
    if not config.exists():
        config.write_text(json.dumps({"model_type": "mistral"}), "utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder, mistral_format=False)
    assert type(tokenizer).__name__ == "TokenizersBackend"
    return tokenizer
