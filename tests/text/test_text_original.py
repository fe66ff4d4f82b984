"""Vocabularies as models were first published with them: read alone, equal to the original, saved for others."""

from __future__ import annotations

import base64
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from composer.errors import TextError
from composer.text import Tokenizer, load_tokenizer
from composer.text.spm import UnknownVocabulary, from_sentencepiece
from composer.text.tekken import RankProblem, from_ranks
from composer.text.wire import WireProblem, fields

from .. import prove
from .test_text_reference import random_character

FILES = {
    "tokenizer.model": "tokenizer.model.v1",
    "tokenizer.model.v2": "mistral_instruct_tokenizer_240216.model.v2",
    "tokenizer.model.v3": "mistral_instruct_tokenizer_240323.model.v3",
    "tokenizer.model.v7m1": "mistral_instruct_tokenizer_241114.model.v7m1",
    "tekken.json": "tekken_240911.json",
}
LISTED = [{"rank": at, "token_str": name} for at, name in enumerate(["<unk>", "<s>", "</s>"])]
HELLO = {"tokenizer.model": [1, 22557, 1526], "tekken.json": [1, 22177, 4304]}


def carried(name: str) -> Path:
    """A vocabulary that mistral-common carries."""
    mistral_common = pytest.importorskip("mistral_common")
    return Path(mistral_common.__file__).parent / "data" / FILES[name]


def reference(name: str) -> Any:
    """The original reader of a vocabulary."""
    from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    return (Tekkenizer.from_file if name == "tekken.json" else SentencePieceTokenizer)(carried(name))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    """Each vocabulary in a folder of its own, read once."""
    base = tmp_path_factory.mktemp("originals")
    for name in FILES:
        (base / f"of-{name}").mkdir()
        shutil.copy(carried(name), base / f"of-{name}" / name)
    return {name: load_tokenizer(base / f"of-{name}") for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_ids_are_those_of_the_original_reader(
    name: str, read: dict[str, Tokenizer], sample: list[str]
) -> None:
    """On the multilingual sample and on random characters; texts that begin with a space are apart in v2 and later."""
    ours, theirs = read[name], reference(name)
    random.seed(name)
    count = prove.cases(200, 5_000)
    drawn = ["." + "".join(random_character() for _ in range(random.randrange(30))) for _ in range(count)]
    exact = name in HELLO
    texts = [text for text in [*sample, *drawn] if exact or not text.startswith(" ")]

    assert HELLO.get(name, [1, 23325, 2294]) == ours.encode("Hello world")
    assert [] == [text for text in texts if theirs.encode(text, bos=True, eos=False) != ours.encode(text)]
    spaced = {text: text if name == "tekken.json" else text.replace("\u2581", " ") for text in texts}
    assert [] == [text for text in texts if spaced[text] != ours.decode(ours.encode(text))]
    assert theirs.n_words == ours.vocab_size
    prove.counted(f"ids of texts equal the original reader's, {name}", len(texts))


@pytest.mark.parametrize("name", FILES)
def test_control_tokens_have_their_ids(name: str, read: dict[str, Tokenizer]) -> None:
    """Bos and eos are named; the marks of instructions are where the format has them, and decode to nothing."""
    ours = read[name]
    marks = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[IMG]"]

    assert (1, 2, 0) == (ours.bos_token_id, ours.eos_token_id, ours.unk_token_id)
    assert (11 if name == "tekken.json" else None) == ours.pad_token_id
    if name != "tokenizer.model":
        expected = {"tekken.json": [3, 4, 9, 10], "tokenizer.model.v2": [3, 4, 5, None]}
        assert expected.get(name, [3, 4, 5, 10]) == [ours.token_to_id(mark) for mark in marks]
        assert "Hello" == ours.decode(ours.encode("[INST]Hello[/INST]")).strip()


@pytest.mark.parametrize("model_type", ["mistral", "ministral"])
@pytest.mark.parametrize("name", FILES)
def test_auto_tokenizer_reads_what_is_saved(
    name: str, model_type: str, read: dict[str, Tokenizer], sample: list[str], tmp_path: Path
) -> None:
    """Beside the original are the files that AutoTokenizer wants; with them alone it gives the same ids, too."""
    folder = tmp_path / "saved"
    folder.mkdir()
    read[name].save(folder)
    assert {name, "tokenizer.json", "tokenizer_config.json"} == {each.name for each in folder.iterdir()}
    config = {"model_type": model_type, "head_dim": 4, "hidden_size": 8, "num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(config))
    expected = [read[name].encode(text) for text in sample]

    for alone in (False, True):
        if alone:
            (folder / name).unlink()
        theirs = AutoTokenizer.from_pretrained(folder)
        assert expected == [theirs.encode(text) for text in sample]
        assert ("<s>", "</s>") == (theirs.bos_token, theirs.eos_token)


def test_what_was_saved_is_saved_again(read: dict[str, Tokenizer], tmp_path: Path) -> None:
    """The original stays beside the tokenizer.json however often it is loaded and saved."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    read["tokenizer.model.v3"].save(tmp_path / "one")
    load_tokenizer(tmp_path / "one").save(tmp_path / "two")

    assert {f.name: f.read_bytes() for f in (tmp_path / "one").iterdir()} == {
        f.name: f.read_bytes() for f in (tmp_path / "two").iterdir()
    }


def test_which_of_several_is_read(tmp_path: Path) -> None:
    """tokenizer.json, then ranks, then pieces of the highest version."""
    for name in ("tokenizer.model", "tokenizer.model.v3"):
        shutil.copy(carried(name), tmp_path / name)

    assert "tokenizer.model.v3" == load_tokenizer(tmp_path).sources.file.name
    (tmp_path / "tekken.json").write_text(ranks())
    assert "tekken.json" == load_tokenizer(tmp_path).sources.file.name
    assert "tokenizer.model" == load_tokenizer(tmp_path / "tokenizer.model").sources.file.name


# ---------------------------------------------------------------------- small ones, made by hand


def ranks(**changes: Any) -> str:
    """A tekken.json of the bytes and two merges, changed."""
    tokens = [*(bytes([at]) for at in range(256)), b"ab", b"abc"]
    vocab = [{"rank": at, "token_bytes": base64.b64encode(t).decode()} for at, t in enumerate(tokens)]
    config = {"pattern": r"\S+|\s+", "default_vocab_size": 263, "default_num_special_tokens": 5}
    data = {"config": config, "vocab": vocab, "special_tokens": LISTED} | {
        k: v for k, v in changes.items() if k in ("vocab", "special_tokens")
    }
    data["config"] = {**config, **{k: v for k, v in changes.items() if k in config}}
    return json.dumps(data)


def test_special_tokens_that_a_file_lists(tmp_path: Path) -> None:
    """Newer files list them; ids that have none are filled up."""
    listed = [
        {"rank": at, "token_str": name, "is_control": True}
        for at, name in enumerate(["<unk>", "<s>", "</s>"])
    ]
    (tmp_path / "tekken.json").write_text(ranks(special_tokens=listed))
    ours = load_tokenizer(tmp_path)

    assert ["<unk>", "<s>", "</s>", "<SPECIAL_3>", "<SPECIAL_4>"] == [ours.id_to_token(at) for at in range(5)]
    assert [1, 262, 5 + 32, 261] == ours.encode("abc ab")
    assert (263, None) == (ours.vocab_size, ours.pad_token_id)


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{", "{}", '{"config": 1}', ranks(vocab=[]), ranks(vocab=[1]), ranks(vocab=[{"token_bytes": "!"}]),
        ranks(default_vocab_size=-1), ranks(default_vocab_size=10**9), ranks(default_vocab_size=300),
        ranks(default_num_special_tokens=1), ranks(special_tokens=[{}]),
        ranks(special_tokens=[{"rank": 9, "token_str": "<s>"}]),
        ranks(pattern=None), ranks(vocab=[{"token_bytes": "YQ=="}] * 258), "[" * 100_000,
        ranks(vocab=[{"token_bytes": "é==="}]), ranks(special_tokens=[{"rank": float("inf"), "token_str": "<s>"}]),
        ranks(pattern="\ud800"), ranks(special_tokens=[*LISTED, {"rank": 3, "token_str": "\ud800"}]),
    ],
)  # fmt: skip
def test_ranks_that_cannot_be(text: str) -> None:
    """A file of another form is refused with a sentence."""
    with pytest.raises(RankProblem, match="[a-z]{3}"):
        from_ranks(text)


def test_pieces_cut_off_or_changed_anywhere() -> None:
    """Damage is told, or makes another vocabulary; it never makes a fault."""
    whole = carried("tokenizer.model").read_bytes()[:4000]
    random.seed(0)
    ends = set()
    for _ in range(300):
        raw = bytearray(whole[: random.randrange(len(whole))])
        for _ in range(random.randrange(3)):
            raw[random.randrange(len(raw) or 1) :][:1] = b"\xff"
        try:
            from_sentencepiece(bytes(raw))
        except (WireProblem, UnknownVocabulary) as error:
            ends.add(type(error))
    assert {WireProblem, UnknownVocabulary} == ends


@pytest.mark.parametrize(
    "raw", [b"\x08", b"\x08" + b"\xff" * 11, b"\x0a\x05a", b"\x0b", b"\x0d\x00\x00", b"\x09\x00"]
)
def test_bytes_that_are_no_message(raw: bytes) -> None:
    """Numbers without an end, fields beyond the end, kinds that are not there."""
    with pytest.raises(WireProblem):
        list(fields(raw))


def test_a_bomb_of_a_piece(tmp_path: Path) -> None:
    """A piece of megabytes, whose splits would be as many, is refused at once."""
    text = b"a" * 2_000_000
    length = bytes([0x80 | len(text) & 127, 0x80 | len(text) >> 7 & 127, len(text) >> 14])
    inner = b"\x0a" + length + text
    outer = bytes([0x80 | len(inner) & 127, 0x80 | len(inner) >> 7 & 127, len(inner) >> 14])
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a" + outer + inner)
    with pytest.raises(TextError, match="a piece has 2000000 letters") as caught:
        load_tokenizer(tmp_path)

    assert "E602" == caught.value.code
