"""Merges of byte-pair encoding out of a vocabulary that has none: every way to make a token of two others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, AnyStr

LONGEST = 1000
"""Letters or bytes of a token; published ones have at most a few dozen."""


def merges(tokens: Iterable[AnyStr], ids: Mapping[AnyStr, int]) -> Iterator[tuple[AnyStr, AnyStr]]:
    """The pairs that make up each of `tokens`, which come in the order in which they are merged.

    Of several pairs for one token the one of the smallest ids is first.
    """
    for token in tokens:
        halves = ((token[:at], token[at:]) for at in range(1, len(token)))
        pairs = [(left, right) for left, right in halves if left in ids and right in ids]
        yield from sorted(pairs, key=lambda pair: (ids[pair[0]], ids[pair[1]]))


def tokenizer_json(
    model: Mapping[str, Any], added: list[dict[str, Any]], bos: tuple[str, int], **parts: Any
) -> dict[str, Any]:
    """A tokenizer.json that puts one token before a text; `parts` are its other steps."""
    name, number = bos
    first = {"SpecialToken": {"id": name, "type_id": 0}}
    sequences = {key: {"Sequence": {"id": key, "type_id": at}} for at, key in enumerate("AB")}
    template = {
        "type": "TemplateProcessing",
        "single": [first, sequences["A"]],
        "pair": [first, sequences["A"], sequences["B"]],
        "special_tokens": {name: {"id": name, "ids": [number], "tokens": [name]}},
    }
    usual = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    steps = {"normalizer": None, "pre_tokenizer": None, "post_processor": template, "decoder": None, **parts}
    options = {"dropout": None, "continuing_subword_prefix": None, "end_of_word_suffix": None}
    return {**usual, **steps, "model": {"type": "BPE", **options, **model}}


def added_token(number: int, content: str, special: bool = True) -> dict[str, Any]:
    """A token that is looked for in the text as it is."""
    rules = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": content, **rules, "special": special}
