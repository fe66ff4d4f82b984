"""A text written token by token: pieces that concatenate to exactly what decoding all ids at once gives.

The steps of the tokenizer's decoder are rebuilt as incremental ones (`pieces`). A decoder with a step that
has no incremental twin, such as a regular expression over the joined text, gives its whole text at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from composer.text.pieces import ByteLetters, ByteRuns, Delayed, Each, LeftStrip, Piecewise, Replacing


class TokenStream:
    """An incremental decoder.

    `put(id)` returns the text that is settled by this id, often an empty string; `end()` returns the rest and
    makes the stream ready for the next text. The work per id is constant on average.

        stream = tokenizer.stream()
        text = "".join(stream.put(i) for i in ids) + stream.end()
        assert text == tokenizer.decode(ids)
    """

    def __init__(
        self,
        token_of: Callable[[int], str | None],
        steps: list[Piecewise] | None,
        whole: Callable[[list[int]], str],
    ) -> None:
        self._token_of = token_of
        self._steps = steps
        self._whole = whole
        self._ids: list[int] = []

    def put(self, token_id: int) -> str:
        """Text settled by the next id; raises TextError E607 for an id outside the vocabulary."""
        token = self._token_of(token_id)
        if token is None:
            return ""
        if self._steps is None:
            self._ids.append(token_id)
            return ""
        return "".join(run(self._steps, (token,)))

    def end(self) -> str:
        """The rest of the text."""
        if self._steps is None:
            ids, self._ids = self._ids, []
            return self._whole(ids)
        return "".join(drain(self._steps))


def run(steps: list[Piecewise], pieces: Iterable[str]) -> Iterable[str]:
    """`pieces` through every step."""
    for step in steps:
        pieces = [out for piece in pieces for out in step.feed(piece)]
    return pieces


def drain(steps: list[Piecewise]) -> list[str]:
    """What the steps still hold, each rest fed to the steps behind it."""
    text: list[str] = []
    for n, step in enumerate(steps):
        text += run(steps[n + 1 :], step.finish())
    return text


class NoTwin(Exception):
    """This decoder step cannot be made incremental."""


def incremental(
    decoder: dict[str, Any] | None, cleaning: Iterable[tuple[str, str]] = ()
) -> list[Piecewise] | None:
    """Steps for a serialised decoder and the replacements after it; None if a step has no twin."""
    try:
        steps = [spaced()] if decoder is None else build(flat(decoder))
    except NoTwin:
        return None
    return [*steps, *(Replacing(old, new) for old, new in cleaning)]


def flat(decoder: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The steps of a decoder, nested sequences opened."""
    if decoder["type"] != "Sequence":
        return [decoder]
    return [step for inner in decoder["decoders"] for step in flat(inner)]


def build(decoders: Iterable[dict[str, Any]]) -> list[Piecewise]:
    """One incremental step per decoder step; behind a fusing one, text is one growing string."""
    steps: list[Piecewise] = []
    fused = False
    for step in decoders:
        kind = step["type"]
        if kind != "Fuse":
            maker = (ON_TEXT if fused else ON_TOKENS).get(kind)
            if maker is None:
                raise NoTwin(kind)
            steps.append(maker(step))
        fused = fused or kind in ("Fuse", "ByteLevel")
    return steps


def spaced() -> Piecewise:
    """No decoder at all: tokens are joined by spaces."""
    return Each(later=lambda token: " " + token, first=lambda token: token)


def literal(step: dict[str, Any]) -> tuple[str, str]:
    """Old and new string of a replacement that is not a regular expression."""
    old = step["pattern"].get("String")
    if not old:
        raise NoTwin("Replace")
    return old, step["content"]


def replaced_tokens(step: dict[str, Any]) -> Piecewise:
    old, new = literal(step)
    return Each(lambda token: token.replace(old, new))


def metaspace(step: dict[str, Any]) -> Piecewise:
    from tokenizers.decoders import Metaspace

    decode = Metaspace(step["replacement"], step["prepend_scheme"], step["split"]).decode
    return Each(later=lambda token: decode(["", token]), first=lambda token: decode([token]))


def word_pieces(step: dict[str, Any]) -> Piecewise:
    from tokenizers.decoders import WordPiece

    decode = WordPiece(step["prefix"], step["cleanup"]).decode
    return Each(later=lambda token: decode(["", token]), first=lambda token: decode([token]))


def word_ends(step: dict[str, Any]) -> Piecewise:
    from tokenizers.decoders import BPEDecoder

    decode = BPEDecoder(step["suffix"]).decode
    return Delayed(inner=lambda token: decode([token, ""]), last=lambda token: decode([token]))


def left_strip(step: dict[str, Any]) -> Piecewise:
    if step["stop"]:
        raise NoTwin("Strip")
    return LeftStrip(step["content"], step["start"])


Maker = Callable[[dict[str, Any]], Piecewise]

ON_TOKENS: dict[str, Maker] = {
    "Replace": replaced_tokens,
    "ByteFallback": lambda _: ByteRuns(),
    "ByteLevel": lambda _: ByteLetters(),
    "Metaspace": metaspace,
    "WordPiece": word_pieces,
    "BPEDecoder": word_ends,
}
ON_TEXT: dict[str, Maker] = {
    "Replace": lambda step: Replacing(*literal(step)),
    "Strip": left_strip,
}
