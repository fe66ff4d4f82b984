"""The figures of the pocket model and of its baseline, as `benchmarks/pocket.md` defines them."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ngram import KneserNey
from numpy.typing import NDArray

from composer.train.corpus import find_documents, split
from composer.train.evaluate import bits_per_byte
from composer.train.tokens import Tokens

CONTEXT, SAMPLES, LENGTH, TEMPERATURE, TOP_P, SEED = 256, 64, 256, 0.8, 0.95, 0
BEGIN, END = 1, 2


class Texts:
    """The corpus in a folder, both sides of the split, as the shipped tokenizer cuts it."""

    def __init__(self, corpus: Path, tokenizer_json: Path, percent: int = 10) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(tokenizer_json))
        self.tokenizer.encode_special_tokens = True
        training, held_out = split(find_documents(corpus, (".py",)), percent)
        self.training = [self._ids(document.read()) for document in training]
        self.names = [document.name for document in held_out]
        self.held_out_texts = [document.read() for document in held_out]
        self.held_out = [self._ids(text) for text in self.held_out_texts]
        self.byte_count = sum(len(text.encode()) for text in self.held_out_texts)

    def _ids(self, text: str) -> NDArray[np.int64]:
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return np.array([*ids, END], np.int64)

    def tokens(self) -> Tokens:
        """The held-out files as the network reads them: each after `<s>`."""
        return after_begin(self.held_out, self.byte_count)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of some ids, up to the end of the document."""
        kept = []
        for token in ids:
            if token == END:
                break
            kept.append(int(token))
        return str(self.tokenizer.decode(kept, skip_special_tokens=True))


def after_begin(documents: Sequence[NDArray[np.int64]], byte_count: int) -> Tokens:
    """Documents of one text, `<s>` put before each."""
    begun = [np.concatenate([[BEGIN], ids]) for ids in documents]
    return Tokens(np.concatenate(begun), np.cumsum([0, *map(len, begun[:-1])]), byte_count)


def sample(model: Any, texts: Texts, most: int = 20_000, count: int = 3) -> dict[str, float]:
    """Bits per byte of the first few short held-out files: a check that takes a second."""
    named = zip(texts.names, texts.held_out, texts.held_out_texts, strict=True)
    short = [(name, ids, len(text.encode())) for name, ids, text in named if 2_000 < len(text) < most]
    return {
        name: round(bits_per_byte(model, after_begin([ids], size), CONTEXT), 4)
        for name, ids, size in short[:count]
    }


def figures(model: Any, texts: Texts) -> dict[str, Any]:
    """Everything that is reported, for the network and the 5-gram model."""
    baseline = KneserNey(texts.training, texts.tokenizer.get_vocab_size(), order=5, start=BEGIN)
    lines = {
        "model": complete_lines(sampled_by_model(model, texts)),
        "5-gram": complete_lines(sampled_by_baseline(baseline, texts)),
        "held-out files": [line for text in texts.held_out_texts for line in text.splitlines()],
    }
    return {
        "held_out_bits_per_byte": {
            "model": round(bits_per_byte(model, texts.tokens(), CONTEXT), 4),
            "5-gram": round(sum(map(baseline.bits, texts.held_out)) / texts.byte_count, 4),
        },
        "held_out_bytes": texts.byte_count,
        "lines_accepted_by_tokenize": {name: share_accepted(some) for name, some in lines.items()},
    }


def complete_lines(samples: Sequence[tuple[str, bool]]) -> list[str]:
    """The lines of each sample; its last one only where the sample ended by itself."""
    return [line for text, ended in samples for line in text.split("\n")[: None if ended else -1]]


def share_accepted(lines: Iterable[str]) -> dict[str, float]:
    """How many lines that are not blank there are, and the share that `tokenize` accepts."""
    verdicts = [accepted(line) for line in lines if line.strip()]
    return {"lines": len(verdicts), "share": round(sum(verdicts) / max(1, len(verdicts)), 4)}


def accepted(line: str) -> bool:
    """Whether `tokenize` reads the line, alone and without its indentation, to the end."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip() + "\n").readline))
    except (tokenize.TokenError, SyntaxError):
        return False
    return all(token.type != tokenize.ERRORTOKEN for token in tokens)


def sampled_by_model(model: Any, texts: Texts) -> list[tuple[str, bool]]:
    """Texts after `<s>` alone, and whether each came to its end."""
    import torch

    rows = model.generate(
        torch.full((SAMPLES, 1), BEGIN),
        max_new_tokens=LENGTH,
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=0,
        top_p=TOP_P,
        seed=SEED,
        eos_token_id=END,
        pad_token_id=END,
    )
    return [(texts.decode(row[1:]), END in row[1:]) for row in rows.tolist()]


def sampled_by_baseline(baseline: KneserNey, texts: Texts) -> list[tuple[str, bool]]:
    """The same from the 5-gram model: equal temperature, equal top-p."""
    random = np.random.default_rng(SEED)
    samples = []
    for _ in range(SAMPLES):
        ids: list[int] = []
        while len(ids) < LENGTH and END not in ids[-1:]:
            chances = nucleus(baseline.following(np.array(ids[-4:], np.int64)))
            ids.append(int(random.choice(len(chances), p=chances)))
        samples.append((texts.decode(ids), END in ids))
    return samples


def nucleus(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution at the fixed temperature, cut to the fewest best tokens that hold TOP_P of it."""
    sharp = chances ** (1 / TEMPERATURE)
    sharp /= sharp.sum()
    order = np.argsort(-sharp)
    before = np.cumsum(sharp[order]) - sharp[order]
    sharp[order[before >= TOP_P]] = 0.0
    result: NDArray[np.float64] = sharp / sharp.sum()
    return result
