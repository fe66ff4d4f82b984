"""A byte-fallback BPE vocabulary from text: nothing is unknown, and decoding gives back the very text."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
# A word with the space before it, a digit, a run of signs, line ends with the indentation after, other space.
WORDS = r" ?[\p{L}_]+| ?\p{N}| ?[^\s\p{L}\p{N}_]+|(?:\r?\n)+[ \t]*| +|\s"
ALPHABET = sorted(set(string.printable) - set("\x0b\x0c"))
SMALLEST = len(SPECIAL) + len(BYTES) + len(ALPHABET)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A tokenizer with `<unk>`, `<s>`, `</s>` as 0, 1, 2, then 256 byte tokens, then characters and merges.

    `vocab_size` counts all of them and is at least `SMALLEST`. Spaces are kept as they are (no `▁`), so that
    indentation, tabs, line ends and any character survive encode and decode.
    """
    learner = Tokenizer(models.BPE(unk_token=SPECIAL[0], byte_fallback=True))
    learner.pre_tokenizer = _words()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL, *BYTES],
        initial_alphabet=ALPHABET,
        # Characters outside ASCII are left to the byte tokens: in a small vocabulary merges earn more.
        limit_alphabet=len(ALPHABET),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return _assemble(json.loads(learner.to_str())["model"])


def _assemble(model: dict[str, Any]) -> Tokenizer:
    """A fresh tokenizer around the learnt merges.

    The trainer had to treat byte tokens as special to give them their ids; kept so, a text that spells out
    `<0x41>` would come back as `A`.
    """
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Tokenizer(
        models.BPE(model["vocab"], merges, unk_token=SPECIAL[0], byte_fallback=True, fuse_unk=True)
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.pre_tokenizer = _words()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def _words() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(WORDS), behavior="isolated")


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int | None) -> None:
    """Write `tokenizer.json` and, naming the special tokens and the longest text, `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": SPECIAL[0],
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "clean_up_tokenization_spaces": False,
        **({} if context is None else {"model_max_length": context}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
