"""Every E6xx: the code, the sentence, and what to do next."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.errors import ComposerError, TextError
from composer.text import Tokenizer, load_tokenizer, tokenizer

from .. import prove

MUTANTS = prove.cases(250, 5_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a tokenizer of six words and no pad token."""
    write(tmp_path, "tokenizer.json", whole())
    return tmp_path


@pytest.fixture
def words(folder: Path) -> Tokenizer:
    return load_tokenizer(folder)


# ---------------------------------------------------------------- E601: nothing there


def test_e601_no_such_folder(folder: Path) -> None:
    said(
        lambda: load_tokenizer(folder / "tokenizer.jsn"), "E601", "there is no folder or file", "did you mean"
    )
    said(
        lambda: load_tokenizer(folder / "x" / "y"),
        "E601",
        "there is no folder or file",
        "give a checkpoint folder",
    )


def test_e601_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    said(lambda: load_tokenizer(tmp_path), "E601", "there is no tokenizer.json in", "Hugging Face layout")
    (tmp_path / "spiece.model").write_bytes(b"\n")
    said(
        lambda: load_tokenizer(tmp_path),
        "E601",
        "there is no tokenizer.json in",
        "only tokenizer.json is read, not",
    )


def test_e602_a_damaged_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "tekken.json").write_bytes(b'{"config": {}}')
    hint = "is the download complete?"
    said(lambda: load_tokenizer(tmp_path), "E602", "this is not a vocabulary: it has no vocab", hint)
    (tmp_path / "tekken.json").unlink()
    (tmp_path / "tokenizer.model.v3").write_bytes(b"\x0a\xff")
    said(lambda: load_tokenizer(tmp_path), "E602", "this is not a vocabulary: it ends inside a number", hint)


def test_e614_a_vocabulary_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\x03\x0a\x01a")
    said(
        lambda: load_tokenizer(tmp_path),
        "E614",
        "tokenizer.model' was not trained by byte-pair encoding",
        "AutoTokenizer's save_pretrained may write a tokenizer.json from it",
    )


def test_e601_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to("blobs/gone")
    said(
        lambda: load_tokenizer(tmp_path),
        "E601",
        "there is no tokenizer.json in",
        "a symbolic link to a file that is",
    )


def test_e601_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said(lambda: load_tokenizer(tmp_path / "pipe"), "E601", "is neither a folder nor a regular file")


def test_e601_a_name_that_no_system_takes() -> None:
    said(lambda: load_tokenizer("a\0b"), "E601", "there is no folder or file", "give a checkpoint folder")
    said(lambda: load_tokenizer("a" * 5000), "E601", "cannot be looked at: ")


# ---------------------------------------------------------------- E602: tokenizer.json


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"", ":1:1: ", "EOF while parsing a value"),
        (b"null", ":1:4: ", "invalid type: null"),
        (b'{"version": "1.0",\n "model": }', ":2:11: ", "expected value"),
        (b"[" * 100_000, ":1:1: ", "invalid type: sequence"),
        (b"{}", ":1:2: ", "Model missing."),
    ],
)
def test_e602_not_a_tokenizer(tmp_path: Path, content: bytes, place: str, message: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    text = said(
        lambda: load_tokenizer(tmp_path), "E602", f"this is not a tokenizer: {message}", "is the download"
    )
    assert text.startswith(f"{tmp_path / 'tokenizer.json'}{place}")


def test_e602_not_text(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b'{\n"\xff": 1}')
    assert "tokenizer.json:2:1" in said(lambda: load_tokenizer(tmp_path), "E602", "byte 3 is not UTF-8")


def test_e602_a_model_that_contradicts_itself(folder: Path) -> None:
    write(folder, "tokenizer.json", whole(model={"type": "BPE", "vocab": {"a": 0}, "merges": ["a z"]}))
    said(lambda: load_tokenizer(folder), "E602", "this is not a tokenizer: Token `z` out of vocabulary")


# ---------------------------------------------------------------- E603 to E605: the files


@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"]
)
def test_e603_a_file_beside_it_is_not_json(folder: Path, name: str) -> None:
    (folder / name).write_text('{"a": 1,\n "b" 2}', "utf-8")
    text = said(lambda: load_tokenizer(folder), "E603", "not JSON: Expecting ':' delimiter")
    assert f"{folder / name}:2:6: not JSON: Expecting ':' delimiter [E603]\n    2 |  \"b\" 2}}\n" in text


def test_e603_other_ways_to_be_no_mapping(folder: Path) -> None:
    for content, message in (
        (b"[1]", "a mapping was expected, not list"),
        (b"\xfe", "byte 0 is not UTF-8"),
        (b"[" * 200_000, "not JSON that can be read: maximum recursion depth"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON that can be read: Exceeds the limit"),
    ):
        (folder / "tokenizer_config.json").write_bytes(content)
        said(lambda: load_tokenizer(folder), "E603", message)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"eos_token": 5}, "eos_token in tokenizer_config.json is 5"),
        ({"eos_token": {"text": "a"}}, "eos_token in tokenizer_config.json is dict"),
        ({"eos_token": {"content": "a", "lstrip": 1}}, "eos_token in tokenizer_config.json is dict"),
        ({"added_tokens_decoder": []}, "added_tokens_decoder in tokenizer_config.json is list"),
        ({"added_tokens_decoder": {"1": "a"}}, "added_tokens_decoder.1 in tokenizer_config.json is 'a'"),
        ({"added_tokens_decoder": {"-1": {"content": "a"}}}, "-1 in tokenizer_config.json is '-1'"),
        ({"extra_special_tokens": "a"}, "extra_special_tokens in tokenizer_config.json is 'a'"),
        ({"extra_special_tokens": [3]}, "extra_special_tokens in tokenizer_config.json is 3"),
        ({"padding_side": "middle"}, "padding_side in tokenizer_config.json is 'middle'"),
    ],
)
def test_e604_a_special_token_that_is_none(folder: Path, config: dict[str, Any], message: str) -> None:
    write(folder, "tokenizer_config.json", config)
    said(lambda: load_tokenizer(folder), "E604", message, "hint: expected ")


def test_e605_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer.text.backend.MOST_TOKENIZER", 1 << 20)
    (folder / "tokenizer.json").write_bytes(b" " * ((1 << 20) + 1))
    said(lambda: load_tokenizer(folder), "E605", "is larger than 1 MiB", "this is not a tokenizer")


def test_e605_not_readable(folder: Path) -> None:
    (folder / "tokenizer_config.json").mkdir()
    said(lambda: load_tokenizer(folder), "E605", "tokenizer_config.json' is not a regular file")


# ---------------------------------------------------------------- E606 to E610: texts, ids and batches


def test_e606_not_a_text(words: Tokenizer) -> None:
    said(lambda: words.encode(b"a"), "E606", "the text is of type bytes, not str", ".decode('utf-8')")
    said(
        lambda: words.encode("ab\ud800"),
        "E606",
        "character 2 of the text is half a surrogate pair",
        "decoded wrongly",
    )
    said(lambda: words.batch(["a", None]), "E606", "text 1 is of type NoneType, not str")
    said(lambda: words.batch("a"), "E606", "a batch is a list of texts, not a str", "even for one")
    said(lambda: words.batch([]), "E606", "the batch is empty", "give at least one text")
    said(lambda: words.token_to_id(3), "E606", "the token is of type int, not str")


@pytest.mark.parametrize("bad", [6, -1, 2**40])
def test_e607_an_id_outside_the_vocabulary(words: Tokenizer, bad: int) -> None:
    for call in (
        lambda: words.decode([3, bad]),
        lambda: words.stream().put(bad),
        lambda: words.id_to_token(bad),
    ):
        said(
            call,
            "E607",
            f"id {bad} is outside the vocabulary",
            "ids run from 0 to 5; does the tokenizer belong",
        )
    said(lambda: words.batch(["a"], pad_token_id=bad), "E607", f"id {bad} is outside the vocabulary")


def test_e607_not_an_id(words: Tokenizer) -> None:
    said(lambda: words.decode([True]), "E607", "True is not a token id", "ids are whole numbers")
    said(lambda: words.decode([1.0]), "E607", "1.0 is not a token id", "ids are whole numbers")
    said(lambda: words.stream().put("a"), "E607", "'a' is not a token id", "ids are whole numbers")
    said(
        lambda: words.decode("ab"),
        "E607",
        "'ab' is not a sequence of ids",
        "decode takes ids, encode takes text",
    )
    said(lambda: words.decode(None), "E607", "a NoneType is not a sequence of ids")
    said(lambda: words.decode([[1, 2]]), "E607", "these are several sequences of ids", "one row at a time")


def test_e608_no_pad_token(words: Tokenizer) -> None:
    said(lambda: words.batch(["a b", "a"]), "E608", "this tokenizer names no pad token", "pad_token_id=")
    said(lambda: words.batch(["a"], pad_to_multiple_of=8), "E608", "this tokenizer names no pad token")


def test_e609_batch_arguments(words: Tokenizer) -> None:
    said(lambda: words.batch(["a"], padding_side="top"), "E609", "padding_side is 'top'", "'left' or 'right'")
    said(
        lambda: words.batch(["a"], pad_to_multiple_of=0),
        "E609",
        "pad_to_multiple_of is 0",
        "a whole number >= 1",
    )
    said(lambda: words.batch(["a"], max_length=True), "E609", "max_length is True", "a whole number >= 1")


def test_e610_too_long(words: Tokenizer) -> None:
    message = "text 1 has 3 tokens, more than max_length 2"
    said(lambda: words.batch(["a", "a b c"], max_length=2), "E610", message, "never cut silently")


# ---------------------------------------------------------------- E611, E612: saving, and the library itself


def test_e611_the_source_changed(words: Tokenizer, folder: Path) -> None:
    write(folder, "tokenizer.json", {})
    said(
        lambda: words.save(folder / "new"),
        "E611",
        "changed or went away since it was read",
        "load the tokenizer again",
    )
    assert not (folder / "new").exists()


def test_e611_files_of_another_tokenizer(words: Tokenizer, folder: Path) -> None:
    write(folder / "new", "added_tokens.json", {})
    said(
        lambda: words.save(folder / "new"),
        "E611",
        "has files of another tokenizer: added_tokens.json",
        "choose another",
    )


def test_e611_no_place_to_write(words: Tokenizer, folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    said(lambda: words.save(folder / "file"), "E611", "the tokenizer cannot be saved in")


def test_e612_the_library_gives_up(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A regular expression that backtracks for ever is stopped by its engine: an error, not a crash."""
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    write(folder, "tokenizer.json", whole(pre_tokenizer=split))
    loaded = load_tokenizer(folder)
    for call in (lambda: loaded.encode("a" * 40 + "b"), lambda: loaded.batch(["a" * 40 + "b"])):
        said(call, "E612", "the tokenizer failed while encoding: ", "a regular expression or a rule")
    capfd.readouterr()


# ---------------------------------------------------------------- all of them


def test_interruptions_pass_through(words: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C inside the library is no fault of the tokenizer."""

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokenizer, "special_contents", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_tokenizer(words.sources.file)


def test_damaged_files_give_an_error_or_a_tokenizer(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Seeded mutants of every file: each loads and works, or says why not."""
    files = {"tokenizer.json": whole(), "tokenizer_config.json": CONFIG, "special_tokens_map.json": CONFIG}
    random.seed(6)
    codes: Counter[str] = Counter()
    for _ in range(MUTANTS):
        name = random.choice(list(files))
        (folder / name).write_text(mutated(files[name]), "utf-8")
        codes[outcome(folder)] += 1
        write(folder, name, files[name])
    assert {"works", "E602", "E603", "E604", "E612"} >= set(codes)
    assert 0.1 * MUTANTS < codes["works"] < 0.8 * MUTANTS
    prove.counted("mutants of tokenizer files without a traceback", MUTANTS)
    capfd.readouterr()


def outcome(folder: Path) -> str:
    """`works`, or the code of the error."""
    try:
        loaded = load_tokenizer(folder)
        ids = loaded.encode("a b </s> q")
        stream = loaded.stream()
        assert loaded.decode(ids) == "".join(map(stream.put, ids)) + stream.end()
    except ComposerError as error:
        return error.code
    return "works"


CONFIG: dict[str, Any] = {
    "added_tokens_decoder": {"2": {"content": "</s>", "lstrip": False, "special": True}},
    "additional_special_tokens": ["<x>"],
    "eos_token": {"content": "</s>", "lstrip": False},
    "bos_token": "<s>",
    "padding_side": "left",
    "clean_up_tokenization_spaces": True,
}


def mutated(data: Any) -> str:
    """JSON with one value swapped, or one stretch of its text cut, doubled or overwritten."""
    if random.random() < 0.6:
        data = json.loads(json.dumps(data))
        swap_one(data)
        return json.dumps(data)
    text = json.dumps(data)
    at = random.randrange(len(text))
    return text[:at] + random.choice(["", text[at : at + 9] * 2, "\0", '"', "{", "9" * 30]) + text[at + 3 :]


def swap_one(data: Any) -> None:
    """Replace one value somewhere below `data`."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = random.choice(keys)
    if isinstance(data[key], dict | list) and data[key] and random.random() < 0.8:
        swap_one(data[key])
    else:
        data[key] = random.choice(
            [None, -1, 2**33, 1.5, "", "a", "\x1b[31m", [], {}, True, {"type": "Fuse"}, ["a"]]
        )


def said(call: Callable[[], object], code: str, message: str, hint: str = "") -> str:
    """The call fails with this code, message and hint; the whole error text is returned."""
    with pytest.raises(TextError) as caught:
        call()
    text = str(caught.value)
    assert code == caught.value.code
    assert message in caught.value.problems[0].message
    assert hint in text
    return text


def whole(**parts: Any) -> dict[str, Any]:
    """A word-level tokenizer.json; any part can be given."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4, "c": 5}
    rules = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    added = [{"id": i, "content": token, **rules} for token, i in list(vocab.items())[:3]]
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
        **parts,
    }


def write(folder: Path, name: str, data: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(data), "utf-8")


# ---------------------------------------------------------------- E613: rules that multiply


@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_e613_replacements_that_multiply_without_bound(folder: Path, part: str) -> None:
    """Forty doublings in two kilobytes are refused before any text is read."""
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    bomb = {"type": "Sequence", f"{part}s": [double] * 40}
    write(folder, "tokenizer.json", {**whole(), part: bomb})

    said(lambda: load_tokenizer(folder), "E613", f"the {part} in ", "times longer")


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
START = {"SpecialToken": {"id": "<s>", "type_id": 0}}
MANY = {"<s>": {"id": "<s>", "ids": [1] * 200, "tokens": ["<s>"] * 200}}
TEMPLATE = {"type": "TemplateProcessing", "pair": [TEXT, {"Sequence": {"id": "B", "type_id": 1}}]}


@pytest.mark.parametrize(
    ("part", "rule", "message"),
    [
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [BYTES] * 60}, "1.15e+18 times longer"),
        ("post_processor", {**TEMPLATE, "single": [TEXT] * 100, "special_tokens": MANY}, "100 times longer"),
        (
            "post_processor",
            {**TEMPLATE, "single": [START] * 100, "special_tokens": MANY},
            "adds 20,000 tokens",
        ),
    ],
)
def test_e613_parts_that_multiply(folder: Path, part: str, rule: dict[str, Any], message: str) -> None:
    """Bytes spelt as characters and spelt again, and templates that say everything many times."""
    write(folder, "tokenizer.json", {**whole(), part: rule})

    assert message in said(lambda: load_tokenizer(folder), "E613", f"the {part} in ")


def test_e613_is_not_for_published_rules(folder: Path) -> None:
    """A space that becomes a word mark, twice, is fine."""
    mark = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    write(
        folder, "tokenizer.json", {**whole(), "normalizer": {"type": "Sequence", "normalizers": [mark, mark]}}
    )

    assert load_tokenizer(folder).vocab_size > 0
