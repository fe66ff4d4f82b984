"""Files of a tokenizer: found through links, saved as they were, and nothing imported before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from composer.text import load_tokenizer


def test_symbolic_links_are_followed(mistral_v3: Path, tmp_path: Path) -> None:
    """A hub cache: a snapshot folder of links into a folder of blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for n, file in enumerate(sorted(mistral_v3.iterdir())):
        (blobs / str(n)).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / str(n))
    tokenizer = load_tokenizer(snapshot)
    assert load_tokenizer(mistral_v3).encode("Hello") == tokenizer.encode("Hello")
    tokenizer.save(tmp_path / "saved")
    assert contents(mistral_v3) == contents(tmp_path / "saved")
    assert not any(file.is_symlink() for file in (tmp_path / "saved").iterdir())


def test_saved_files_are_byte_for_byte(mistral_v1: Path, mistral_v3: Path, tmp_path: Path) -> None:
    """Every file of the tokenizer, the chat template among them; saving twice is fine."""
    for source in (mistral_v1, mistral_v3):
        place = tmp_path / source.name / "deep"
        load_tokenizer(source).save(place)
        load_tokenizer(source).save(place)
        assert contents(source) == contents(place)
        assert load_tokenizer(source).encode("a b") == load_tokenizer(place).encode("a b")


def test_templates_and_vocabularies_travel_and_weights_do_not(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    """What belongs to the tokenizer is saved, the rest of a checkpoint folder is not."""
    folder = make({}, config={}, generation_config={}, tokenizer_config={}, special_tokens_map={})
    (folder / "tokenizer.model").write_bytes(b"\x00\x01")
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_bytes(b"{{ x }}\r\n")
    load_tokenizer(folder).save(tmp_path / "saved")
    ours = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model"}
    assert ours | {"additional_chat_templates/tools.jinja"} == set(contents(tmp_path / "saved"))


def test_a_folder_saves_onto_itself(make: Callable[..., Path]) -> None:
    """Nothing changes and no staged file stays behind."""
    folder = make({}, tokenizer_config={})
    before = contents(folder)
    load_tokenizer(folder).save(folder)
    assert before == contents(folder)


def test_a_failed_save_leaves_what_was_there(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full at the second file: the first is not replaced either, and no part of one stays."""
    source = make({}, "new", tokenizer_config={"eos_token": "a"})
    target = make({}, "old", tokenizer_config={"eos_token": "b"})
    before, tokenizer = contents(target), load_tokenizer(source)
    opened = Path.open

    def full(self: Path, *args: str) -> object:
        if self.name.startswith(".tokenizer_config"):
            raise OSError(28, "No space left on device")
        return opened(self, *args)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(Exception, match="No space left on device"):
        tokenizer.save(target)
    monkeypatch.undo()
    assert before == contents(target)


def test_a_file_is_read_with_its_folder_or_alone(make: Callable[..., Path]) -> None:
    """tokenizer.json means its folder; any other name is only that file, and is saved as tokenizer.json."""
    folder = make({}, tokenizer_config={"eos_token": "b"})
    alone = folder / "mine.json"
    alone.write_bytes((folder / "tokenizer.json").read_bytes())
    assert 4 == load_tokenizer(folder / "tokenizer.json").eos_token_id
    assert load_tokenizer(alone).eos_token_id is None
    load_tokenizer(alone).save(folder / "saved")
    assert {"tokenizer.json": alone.read_bytes()} == contents(folder / "saved")


def test_a_byte_order_mark_is_no_harm(make: Callable[..., Path]) -> None:
    """Some editors write one."""
    folder = make({}, tokenizer_config={"eos_token": "b"})
    for file in folder.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert 4 == load_tokenizer(folder).eos_token_id


def test_the_size_counts_gaps_and_added_tokens(make: Callable[..., Path]) -> None:
    """An embedding needs a row for the largest id; an id in a gap has no text."""
    model = {"type": "WordLevel", "vocab": {"<unk>": 0, "a": 9}, "unk_token": "<unk>"}
    tokenizer = load_tokenizer(make({"model": model, "added_tokens": []}))
    assert 10 == tokenizer.vocab_size
    assert tokenizer.id_to_token(5) is None
    assert "a" == tokenizer.decode([5, 9]) == tokenizer.stream().put(9)
    assert "<Tokenizer of 10 tokens" == repr(tokenizer)[:23]


def test_importing_is_light(mistral_v1: Path) -> None:
    """The room itself brings in neither tokenizers nor torch; encoding and streaming need no torch."""
    script = f"""
import sys
from composer.text import load_tokenizer
assert not {{"tokenizers", "torch", "transformers"}} & set(sys.modules)
tokenizer = load_tokenizer({str(mistral_v1)!r})
stream = tokenizer.stream()
print([stream.put(i) for i in tokenizer.encode("Hello world")], tokenizer.decode([22557]))
assert not {{"torch", "transformers", "numpy"}} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "['', 'Hello', ' world'] Hello\n" == done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_config_json_is_not_needed(make: Callable[..., Path]) -> None:
    """A folder of one file is enough."""
    folder = make({})
    assert ["tokenizer.json"] == [file.name for file in folder.iterdir()]
    assert [3, 4] == load_tokenizer(str(folder)).encode("a b")
    assert json.loads((folder / "tokenizer.json").read_text("utf-8"))
