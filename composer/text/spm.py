"""SentencePiece vocabularies (`tokenizer.model`) as the tokenizer.json that means the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.text.byte_pairs import LONGEST, added_token, merges, tokenizer_json
from composer.text.wire import WireProblem, fields, real

MARK = "▁"
"""What stands for a space."""

_BPE = 2
_NORMAL, _UNKNOWN, _CONTROL, _WANTED, _UNUSED, _BYTE = range(1, 7)


class UnknownVocabulary(ValueError):
    """A vocabulary of a kind that is not read; the text says of which."""


@dataclass
class Pieces:
    """A vocabulary in order: spelling, score, kind; and what training and normalising said."""

    spelling: list[str] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    trained: dict[int, int | bytes] = field(default_factory=dict)
    normal: dict[int, int | bytes] = field(default_factory=dict)


def from_sentencepiece(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The tokenizer.json and the named special tokens.

    Raises `WireProblem` for what is no such file, `UnknownVocabulary` for one of another kind than byte pairs
    with bytes for what is not spelt, spaces kept and one put in front.
    """
    pieces = _read(data)
    _check(pieces)
    ids = {text: at for at, text in enumerate(pieces.spelling)}
    if len(ids) < len(pieces.spelling):
        raise WireProblem("two of its pieces are spelt alike")
    plain = [at for at, kind in enumerate(pieces.kind) if kind == _NORMAL]
    order = [pieces.spelling[at] for at in sorted(plain, key=lambda at: -pieces.score[at])]
    spelt = {pieces.spelling[at] for at in plain}
    pairs = merges(order, {text: number for text, number in ids.items() if text in spelt})
    unknown = pieces.spelling[pieces.kind.index(_UNKNOWN)]
    model = {
        "unk_token": unknown, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
        "vocab": ids, "merges": [f"{left} {right}" for left, right in pairs],
    }  # fmt: skip
    added = [
        added_token(at, text, special=kind != _WANTED)
        for at, (text, kind) in enumerate(zip(pieces.spelling, pieces.kind, strict=True))
        if kind in (_UNKNOWN, _CONTROL, _WANTED)
    ]
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": unknown}
    return tokenizer_json(model, added, ("<s>", ids["<s>"]), decoder=_DECODER, **_spaces(added)), named


def _read(data: bytes) -> Pieces:
    pieces = Pieces()
    for number, value in fields(data):
        if number in (1, 2, 3) and not isinstance(value, bytes):
            raise WireProblem("a part of it is a number")
        if number == 1 and isinstance(value, bytes):
            _add(pieces, dict(fields(value)))
        elif number in (2, 3) and isinstance(value, bytes):
            (pieces.trained if number == 2 else pieces.normal).update(fields(value))
    if not pieces.spelling:
        raise WireProblem("it has no pieces")
    return pieces


def _add(pieces: Pieces, piece: Mapping[int, int | bytes]) -> None:
    spelling, kind = piece.get(1, b""), piece.get(3, _NORMAL)
    if not isinstance(spelling, bytes) or not isinstance(kind, int):
        raise WireProblem("a piece is not spelt")
    try:
        text = spelling.decode()
    except UnicodeDecodeError:
        raise WireProblem("a piece is not UTF-8 text") from None
    if len(text) > LONGEST:
        raise WireProblem(f"a piece has {len(text)} letters")
    pieces.spelling.append(text)
    pieces.score.append(real(piece.get(2, bytes(4))))
    pieces.kind.append(kind)


def _check(pieces: Pieces) -> None:
    """What the tokenizer.json below cannot say."""
    if pieces.trained.get(3, 1) != _BPE:
        raise UnknownVocabulary("was not trained by byte-pair encoding")
    if pieces.trained.get(35, 0) != 1:
        raise UnknownVocabulary("has no bytes for what it cannot spell")
    if pieces.normal.get(2):
        raise UnknownVocabulary("changes letters before it spells them")
    if pieces.normal.get(3, 1) != 1 or pieces.normal.get(4, 1) != 0 or pieces.trained.get(24, 0) != 0:
        raise UnknownVocabulary("treats spaces in another way than to keep them and to put one in front")
    if _UNKNOWN not in pieces.kind or not {"<s>", "</s>"} <= {*pieces.spelling}:
        raise UnknownVocabulary("has no <s>, no </s> or nothing for what is unknown")


def _spaces(added: list[dict[str, Any]]) -> dict[str, Any]:
    """How a space comes in front, as the published conversions have it.

    A vocabulary with control tokens of its own puts one before the first word of a text; the older ones, which
    have none, before every stretch between special tokens.
    """
    if len(added) > 3:
        scheme = {"replacement": MARK, "prepend_scheme": "first", "split": False}
        return {"pre_tokenizer": {"type": "Metaspace", **scheme}}
    steps = [
        {"type": "Prepend", "prepend": MARK},
        {"type": "Replace", "pattern": {"String": " "}, "content": MARK},
    ]
    return {"normalizer": {"type": "Sequence", "normalizers": steps}}


_DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": MARK}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}
