"""Tokenizers to test with: the real Mistral vocabularies as published, and small ones of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

V1 = "tokenizer.model.v1"
V3 = "mistral_instruct_tokenizer_240323.model.v3"


@pytest.fixture(scope="session")
def mistral_v1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the 4.x era like Mistral-7B-v0.1's: prepending normaliser, `added_tokens_decoder`."""
    spm = sentencepiece(V1)
    tokenizer = skeleton(spm, specials=3)
    tokenizer["normalizer"] = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    }
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {
            str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in tokenizer["added_tokens"]
        },
        "additional_special_tokens": [],
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "legacy": True,
        "model_max_length": 1000000000000000019884624838656,
        "pad_token": None,
        "sp_model_kwargs": {},
        "spaces_between_special_tokens": False,
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
        "use_default_system_prompt": False,
    }
    named = {key: {"content": config[key], **RULES} for key in ("bos_token", "eos_token", "unk_token")}
    folder = tmp_path_factory.mktemp("mistral-v1")
    return write(folder, tokenizer, {"tokenizer_config.json": config, "special_tokens_map.json": named})


@pytest.fixture(scope="session")
def mistral_v3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like Mistral-7B-v0.3's: Metaspace on the first word, 771 control tokens, a chat template."""
    spm = sentencepiece(V3)
    tokenizer = skeleton(spm, specials=771)
    tokenizer["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "first",
        "split": False,
    }
    config = {
        "add_prefix_space": None,
        "backend": "tokenizers",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "extra_special_tokens": ["[INST]", "[/INST]"],
        "model_max_length": 1000000000000000019884624838656,
        "tokenizer_class": "TokenizersBackend",
        "unk_token": "<unk>",
    }
    folder = tmp_path_factory.mktemp("mistral-v3")
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}", "utf-8")
    return write(folder, tokenizer, {"tokenizer_config.json": config})


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder from the parts of a tokenizer.json and from further files."""

    def made(parts: dict[str, Any], name: str = "made", **files: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return write(folder, small(**parts), {key + ".json": value for key, value in files.items()})

    return made


RULES = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
LLAMA_DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}
BOS_FIRST = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
}


def sentencepiece(name: str) -> Any:
    """The SentencePiece model of that name which mistral-common carries."""
    mistral_common = pytest.importorskip("mistral_common")
    spm = pytest.importorskip("sentencepiece")
    return spm.SentencePieceProcessor(str(Path(mistral_common.__file__).parent / "data" / name))


def skeleton(spm: Any, specials: int) -> dict[str, Any]:
    """A tokenizer.json of a SentencePiece model as transformers converts it, the first ids special."""
    from transformers.tokenization_utils_base import generate_merges

    pieces = [spm.id_to_piece(i) for i in range(spm.get_piece_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    scores = {piece: spm.get_score(i) for i, piece in enumerate(pieces)}
    merges = generate_merges(vocab, scores, skip_tokens=pieces[:specials])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": pieces[i], **RULES, "special": True} for i in range(specials)],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": BOS_FIRST,
        "decoder": LLAMA_DECODER,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": [f"{left} {right}" for left, right in merges],
        },
    }


def small(**parts: Any) -> dict[str, Any]:
    """A word-level tokenizer of a few tokens; any part of the file can be given."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4, "c": 5}
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": t, **RULES, "special": True} for t, i in list(vocab.items())[:3]
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    }
    return whole | parts


def write(folder: Path, tokenizer: dict[str, Any], files: dict[str, Any]) -> Path:
    """The folder with tokenizer.json and `files`, as JSON."""
    for name, data in {"tokenizer.json": tokenizer, **files}.items():
        (folder / name).write_text(json.dumps(data, ensure_ascii=False, indent=2), "utf-8")
    return folder


@pytest.fixture(scope="session")
def sample() -> list[str]:
    """Lines in many scripts, with code, emoji, combining marks, odd spaces and control characters."""
    text = (Path(__file__).parent / "sample.txt").read_text("utf-8")
    odd = [
        "",
        "\n",
        "\t\ttab",
        "a\r\nb",
        "a  b   c",
        "tail  ",
        "nul\0bell\a",
        "\ufeffmark",
        "x\u00a0y\u3000z\u200bw\u2028",
    ]
    return [*text.splitlines(), text, *odd, "e\u0301 \u00e9 \ufb01 \u212b", "\ud7ff\ue000\U0010ffff"]
