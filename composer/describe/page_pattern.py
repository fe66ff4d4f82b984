"""A pattern in sentences: which layers there are, who rides on them, and whose weights are shared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ..plan import Plan
from ..spec import Spec
from .page_text import code, listed, plural, series, spanned, times

MOST_RUNS = 8


def pattern_line(spec: Spec) -> str:
    """The pattern as the spec has it, on one line, with the number of layers that it is repeated to."""
    pattern: Any = spec.pattern
    if isinstance(pattern, Mapping):
        text = "; ".join(f"{track}: {one_line(each)}" for track, each in pattern.items())
    else:
        text = one_line(pattern)
    cut = ", the last time in part" if spec.remainder == "truncate" else ""
    return code(text) + (f" for {plural(spec.layers, 'layer')}{cut}" if spec.layers else "")


def one_line(pattern: str | Sequence[str]) -> str:
    """A pattern or a list of them without line breaks."""
    return " ".join((pattern if isinstance(pattern, str) else ", ".join(pattern)).split())


def meaning(plan: Plan) -> str:
    """What the pattern comes to, guests and shared weights included."""
    words = [layer.word for layer in plan.layers]
    return " ".join([f"{capital(sequence(words))}.", *guests(plan), *shared(plan)])


def sequence(words: Sequence[str]) -> str:
    """The words of all layers, as briefly as they can be said."""
    if len(set(words)) == 1:
        count = len(words)
        return (
            f"the only layer is {code(words[0])}"
            if count == 1
            else f"all {count:,} layers are {code(words[0])}"
        )
    cycle = period(words)
    runs = spelt(words[:cycle])
    if cycle == len(words):
        return f"{plural(len(words), 'layer')}: {runs}"
    whole, left = divmod(len(words), cycle)
    cut = f", and the first {left} of them once more" if left else ""
    return f"{plural(len(words), 'layer')}: {runs}; these {cycle} stand {times(whole)}{cut}"


def period(words: Sequence[str]) -> int:
    """After how many layers the words repeat, at least once in full; their number where they do not."""
    for size in range(1, len(words) // 2 + 1):
        if all(word == words[index % size] for index, word in enumerate(words)):
            return size
    return len(words)


def spelt(words: Sequence[str]) -> str:
    """Runs of words one after the other; where there are many, the rarer words by their places."""
    runs = [(word, len(list(group))) for word, group in groupby(words)]
    if len(runs) <= MOST_RUNS:
        return ", then ".join(code(word) + (f" {times(count)}" if count > 1 else "") for word, count in runs)
    by_count = sorted(dict.fromkeys(words), key=words.count, reverse=True)
    rare = [f"{code(word)} at {places(words, word)}" for word in by_count[1:]]
    return f"{code(by_count[0])}, but {series(rare)}"


def places(words: Sequence[str], word: str) -> str:
    """The layers at which a word stands."""
    return listed([index for index, each in enumerate(words) if each == word], len(words))


def guests(plan: Plan) -> Iterator[str]:
    """A sentence for each guest."""
    names = dict.fromkeys(name for layer in plan.layers for name in layer.guests)
    for name in names:
        layers = [layer.index for layer in plan.layers if name in layer.guests]
        where = series([str(a) if a == b else f"{a}..{b}" for a, b in spanned(layers)])
        noun = "layer" if len(layers) == 1 else "layers"
        yield (
            f"{code(name)} rides on {noun} {where}: it runs before the layer, and what it returns is added to "
            "what the layer reads first, not to the stream."
        )


def shared(plan: Plan) -> Iterator[str]:
    """A sentence for each word whose weights several layers use."""
    for word, uses in plan.uses.items():
        copies = len({copy for _, copy in uses})
        turns = "one set of weights" if copies == 1 else f"{copies} sets of weights, used in turn"
        yield f"The {plural(len(uses), 'use')} of {code(word)} have {turns}; what is remembered is kept for each use."


def capital(text: str) -> str:
    """A sentence begins with a capital."""
    return text[:1].upper() + text[1:]
