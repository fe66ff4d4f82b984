"""`init`: a commented spec to start from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import composer
from composer.cli import files
from composer.describe.starter import starter_text
from composer.describe.yamltext import yaml_text
from composer.pattern import canonical_written
from composer.plugins import catalog
from composer.shipped import shipped_specs
from composer.source import read_document

from .conftest import TINY, Run


@pytest.mark.parametrize("name", shipped_specs())
def test_every_shipped_spec_can_be_begun_from(name: str) -> None:
    """What is written resolves to the same layers and is in canonical form, on lines of a page."""
    spec = composer.read_spec(name)
    text = starter_text(spec, "mine", name, catalog(), "mine.yaml")
    begun = composer.read_spec(text)
    one, other = composer.resolve(spec), composer.resolve(begun)

    assert (one.layers, one.init, one.head) == (other.layers, other.init, other.head)
    assert ("mine", {}) == (begun.name, begun.metadata)
    assert (
        canonical_written(read_document(text, "").data["pattern"]) == read_document(text, "").data["pattern"]
    )
    assert 110 >= max(map(len, text.splitlines()))


def test_init_writes_a_spec(run: Run, tiny: Path) -> None:
    """The file is named after the model, passes `check`, is left alone by `fmt`, and says what each key is for."""
    tiny.write_text(TINY.replace("full, swa×3", "full,(swa)*3"), encoding="utf-8")
    done = run("init", "mine", "--like", "tiny.yaml")
    text = Path("mine.yaml").read_text(encoding="utf-8")

    assert (0, "mine.yaml\n", "") == (done.code, done.out, done.err)
    assert "ok: mine, 8 layers, 78,368 parameters\n" == run("check", "mine.yaml").out
    assert (0, "") == (run("fmt", "--check", "mine.yaml").code, run("fmt", "--diff", "mine.yaml").out)
    assert {
        "name: mine  # Name of the architecture.",
        "description: Begun from tiny.yaml.",
        "pattern: full, swa×3  # The layer pattern: one, or one for each track.",
        "    num_attention_heads: 4  # Query heads.",
    } <= {*text.splitlines()}


def test_init_works_from_what_inherits(run: Run, tiny: Path) -> None:
    """The new spec needs neither the one it was begun from nor that one's parents."""
    (tiny.parent / "child.yaml").write_text("extends: tiny.yaml\nlayers: 4\nname: child\n", encoding="utf-8")
    assert 0 == run("init", "sub.model.yaml", "--like", "child.yaml").code
    tiny.unlink()

    assert run("check", "sub.model.yaml").out.startswith("ok: sub.model, 4 layers,")


def test_init_overwrites_nothing_unless_forced(run: Run, tiny: Path) -> None:
    """A file that is there stays as it is; with --force it keeps its mode."""
    tiny.chmod(0o640)
    refused = run("init", "tiny", "--like", "tiny.yaml")
    kept = tiny.read_text(encoding="utf-8")
    forced = run("init", "tiny", "--like", "pocket-mistral", "--force")

    assert (2, TINY, 0) == (refused.code, kept, forced.code)
    assert tiny.read_text(encoding="utf-8").startswith("# After a change:\n")
    assert (["tiny.yaml"], 0o640) == (os.listdir(), tiny.stat().st_mode & 0o777)


def test_nothing_is_left_of_a_refused_spec(run: Run, tiny: Path) -> None:
    """What is wrong with the other spec is told, and no file is made."""
    tiny.write_text(TINY.replace("swa×3", "sws×3"), encoding="utf-8")
    done = run("init", "mine", "--like", "tiny.yaml")

    assert (1, ["tiny.yaml"]) == (done.code, os.listdir())
    assert "unknown block 'sws' [E320]" in done.err


@pytest.mark.parametrize("linked", [True, False])
def test_files_appear_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool) -> None:
    """A new file never takes the place of another, also where the file system has no hard links."""

    def unsupported(*_: object) -> None:
        raise PermissionError

    if not linked:
        monkeypatch.setattr(files.os, "link", unsupported)
    file = tmp_path / "new.yaml"
    files.create_text(str(file), "one\n")
    with pytest.raises(FileExistsError):
        files.create_text(str(file), "two\n")

    assert ("one\n", ["new.yaml"]) == (file.read_text(encoding="utf-8"), os.listdir(tmp_path))


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Co", "Cn")), max_size=20
) | st.sampled_from(
    ["no", "~", "1e5", "a: b", "a #b", "- a", "{a}", "it's", "a, b", "x" * 200, "two  spaces", "a:"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4), st.booleans())
def test_yaml_reads_back(data: dict[str, object], tall: bool) -> None:
    """Whatever the data, the text means the same to our reader."""
    text = yaml_text(data, lambda path: "a note" if len(path) % 2 else "", lambda path: tall)

    assert data == read_document(text, "text").data
