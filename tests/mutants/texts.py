"""Mutants of tokenizers: each is loaded, encodes a text, decodes it at once and piece by piece."""

from __future__ import annotations

import base64
from pathlib import Path
from random import Random
from typing import Any

import composer

from . import mutate

RULES = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
SPECIAL = [{"id": n, "content": content, **RULES} for n, content in enumerate(["<unk>", "<s>", "</s>"])]
BYTES = {f"<0x{n:02X}>": 3 + n for n in range(256)}
PIECES = {piece: 259 + n for n, piece in enumerate("▁abcdefinot")} | {
    "de": 270,
    "def": 271,
    "in": 272,
    "▁in": 273,
}
PARTS: dict[str, Any] = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": SPECIAL, "normalizer": None,
    "pre_tokenizer": None, "post_processor": None, "decoder": None,
}  # fmt: skip
BPE = PARTS | {
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        {"type": "NFKC"},
    ]},
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    "decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]},
    "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
        "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, **BYTES, **PIECES},
        "merges": [["d", "e"], ["de", "f"], ["i", "n"], ["▁", "in"]]},
}  # fmt: skip
# A trie of 1,024 bytes that maps nothing, behind its length.
CHARSMAP = base64.b64encode((1024).to_bytes(4, "little") + bytes(1025)).decode()
UNIGRAM = PARTS | {
    "normalizer": {"type": "Precompiled", "precompiled_charsmap": CHARSMAP},
    "padding": {"strategy": {"Fixed": 20}, "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "<unk>"},
    "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": True,
        "vocab": [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0], ["▁", -1.0], *([piece, -2.5] for piece in "adefin")]},
}  # fmt: skip
WORDS = PARTS | {
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
        "lowercase": True},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\s+|(a|b)+"}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ]},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "def": 3, "##in": 4, "a": 5}},
}  # fmt: skip
SEEDS = [BPE, UNIGRAM, WORDS]
CONFIG: dict[str, Any] = {
    "add_bos_token": True, "bos_token": "<s>", "eos_token": {"content": "</s>", "__type": "AddedToken", **RULES},
    "pad_token": None, "unk_token": "<unk>", "padding_side": "left", "clean_up_tokenization_spaces": False,
    "additional_special_tokens": ["<a>"], "extra_special_tokens": {"image_token": "<image>"},
    "split_special_tokens": False,
    "added_tokens_decoder": {str(n): {k: v for k, v in one.items() if k != "id"} for n, one in enumerate(SPECIAL)},
    "model_max_length": 1000000000000000019884624838656, "tokenizer_class": "TokenizersBackend",
}  # fmt: skip
MAP: dict[str, Any] = {
    "bos_token": "<s>",
    "eos_token": {"content": "</s>", **RULES},
    "additional_special_tokens": ["<b>"],
}
FILES: dict[str, Any] = {
    "tokenizer.json": BPE,
    "tokenizer_config.json": CONFIG,
    "special_tokens_map.json": MAP,
    "added_tokens.json": {"<c>": 274},
    "generation_config.json": {"eos_token_id": [2, 1], "pad_token_id": 0},
    "config.json": {"bos_token_id": 1, "pad_token_id": 0},
}


class Tokenizers:
    """One folder, written anew for every mutant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in FILES.items():
            (folder / name).write_bytes(mutate.as_json(data))

    def write(self, draw: Random) -> None:
        """Files of either era, one of them damaged."""
        files = dict(FILES) | {"tokenizer.json": draw.choice(SEEDS)}
        if draw.random() < 0.5:
            files["tokenizer_config.json"] = {k: v for k, v in CONFIG.items() if k != "added_tokens_decoder"}
        name = draw.choice(["tokenizer.json"] * 6 + list(files))
        for each, data in files.items():
            raw = mutate.as_json(mutate.edited(draw, data) if each == name else data)
            raw = mutate.damaged(draw, raw) if each == name and draw.random() < 0.2 else raw
            (self.folder / each).write_bytes(raw)

    def run(self) -> None:
        """A text there and back, and a batch."""
        tokenizer = composer.load_tokenizer(self.folder)
        text = "def inéd <s>a b\n<image>"
        ids = tokenizer.encode(text)
        tokenizer.decode(ids)
        stream = tokenizer.stream()
        "".join([*(stream.put(each) for each in ids), stream.end()])
        _ = (tokenizer.special_tokens, tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
        tokenizer.batch([text, "a"])

    def shown(self) -> str:
        """What a report says of the mutant."""
        return "\n".join(f"{path.name}: {path.read_bytes()!r}" for path in sorted(self.folder.iterdir()))
