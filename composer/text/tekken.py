"""Byte-pair vocabularies in a JSON of ranks (`tekken.json`) as the tokenizer.json that means the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from composer.text.byte_pairs import LONGEST, added_token, merges, tokenizer_json
from composer.text.pieces import byte_alphabet

# What the ids before the vocabulary are where the file does not say; more of them are <SPECIAL_20> and so on.
_SPECIAL = (
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
    "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
)  # fmt: skip
_NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


_LETTER = {byte: letter for letter, byte in byte_alphabet().items()}


class RankProblem(ValueError):
    """Why a text is no such file."""


def from_ranks(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The tokenizer.json and the named special tokens.  Raises `RankProblem`."""
    data = _read(text)
    config = data["config"]
    special = _special(data)
    _check_text(*special, config["pattern"])
    size = _whole(config, "default_vocab_size", len(special) + len(data["vocab"]))
    tokens = _tokens(data["vocab"], size - len(special))
    ranks = {token: rank for rank, token in enumerate(tokens)}
    if len(ranks) < len(tokens):
        raise RankProblem("two of its tokens are the same bytes")
    spelt = {token: "".join([_LETTER[byte] for byte in token]) for token in tokens}
    ids = {spelt[token]: len(special) + rank for token, rank in ranks.items()}
    pairs = merges((token for token in tokens if len(token) > 1), ranks)
    model = {
        "unk_token": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
        "vocab": {**{name: at for at, name in enumerate(special)}, **ids},
        "merges": [f"{spelt[left]} {spelt[right]}" for left, right in pairs],
    }  # fmt: skip
    added = [added_token(at, name) for at, name in enumerate(special)]
    named = {key: name for key, name in _NAMED.items() if name in special}
    words = {
        "type": "Split",
        "pattern": {"Regex": config["pattern"]},
        "behavior": "Isolated",
        "invert": False,
    }
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    steps = {"type": "Sequence", "pretokenizers": [words, level]}
    return tokenizer_json(
        model, added, ("<s>", special.index("<s>")), pre_tokenizer=steps, decoder=level
    ), named


def _read(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RankProblem(f"it is not JSON: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("config"), dict):
        raise RankProblem("it has no config")
    if not isinstance(data.get("vocab"), list) or not isinstance(data["config"].get("pattern"), str):
        raise RankProblem("it has no vocab, or no pattern in its config")
    return data


def _special(data: Mapping[str, Any]) -> list[str]:
    """The special tokens by id."""
    listed = data.get("special_tokens")
    if listed is None:
        named = dict(enumerate(_SPECIAL))
    else:
        try:
            named = {int(entry["rank"]): str(entry["token_str"]) for entry in listed}
        except (TypeError, KeyError, ValueError, OverflowError):
            raise RankProblem("a special token has no rank or no token_str") from None
    count = _whole(data["config"], "default_num_special_tokens", len(named))
    found = [named.get(at, f"<SPECIAL_{at}>") for at in range(count)]
    if len(set(found)) < count or "<s>" not in found or not {*named} <= {*range(count)}:
        raise RankProblem("its special tokens have no order, or there is no <s>")
    return found


def _check_text(*texts: str) -> None:
    """JSON can spell halves of a letter, which no file can hold."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise RankProblem("a special token or its pattern is no text") from None


def _tokens(listed: list[Any], count: int) -> list[bytes]:
    """The bytes of the first `count` tokens, in the order of their ranks."""
    try:
        tokens = [base64.b64decode(entry["token_bytes"], validate=True) for entry in listed[: max(0, count)]]
    except (TypeError, KeyError, ValueError):
        raise RankProblem("a token of its vocab has no token_bytes") from None
    if len(tokens) < max(count, 256) or {bytes([at]) for at in range(256)} - {*tokens}:
        raise RankProblem("its vocab lacks tokens")
    if any(not 0 < len(token) <= LONGEST for token in tokens):
        raise RankProblem(f"a token of its vocab is empty or longer than {LONGEST} bytes")
    return tokens


def _whole(config: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = otherwise if config.get(key) is None else config[key]
    if type(value) is not int or not 0 < value < 10_000_000:
        raise RankProblem(f"{key} in its config is no sensible number")
    return value
