"""`import`: a published configuration as a commented spec."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

import composer
from composer.describe.imported import imported_text
from composer.layout.family import families, matching
from composer.layout.importing import import_config
from composer.layout.view import view
from composer.source import read_document

from .. import prove
from ..published import FAMILIES, drawn, written
from .conftest import Run

PARAMS: dict[str, Any] = {
    "dim": 24, "n_layers": 8, "head_dim": 8, "hidden_dim": 20, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-5,
    "vocab_size": 37, "rope_theta": 1e8, "_sliding_window": [None, 3, 3, 3], "max_batch_size": 0,
}  # fmt: skip


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config.json of transformers in the working directory."""
    monkeypatch.chdir(tmp_path)
    config = CONFIG_MAPPING["mistral"](vocab_size=31, hidden_size=16, num_hidden_layers=3, head_dim=4)
    config.save_pretrained(tmp_path)
    return tmp_path / "config.json"


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", range(prove.cases(3, 100)))
def test_the_spec_means_what_the_configuration_means(name: str, seed: int) -> None:
    """Read back, the text makes the same plan, in canonical form, and every key is accounted for."""
    config = written(drawn(name, seed))
    text = imported_text(config, "mine", "config.json", "config.json")
    one, other = composer.read_spec(text), import_config(config, "mine")

    assert view(composer.resolve(one)) == view(composer.resolve(other))
    assert (other.weights, other.generation) == (one.weights, one.generation)
    assert [] == [line for line in text.splitlines() if len(line) > 120]
    assert [] == [key for key in config if key not in text]


def test_every_family_is_drawn() -> None:
    """The cases above leave out only the one with tests below."""
    assert {*FAMILIES, "mistral"} >= {*families()}


def test_what_stands_behind_a_value(configured: Path, run: Run) -> None:
    """The key that it comes from; in brackets if the file has none; nothing where the family fixes it."""
    kept = {k: v for k, v in json.loads(configured.read_text()).items() if k != "rms_norm_eps"}
    configured.write_text(json.dumps({**kept, "top_k": 50, "rope_scaling": None}), encoding="utf-8")
    done = run("import", "config.json")

    assert (0, "") == (done.code, done.err)
    assert {
        "vocab_size: 31  # vocab_size",
        "norm: {kind: rms, eps: 1.0e-6}  # eps: [rms_norm_eps]",
        "pattern: swa  # sliding_window",
        "layers: 3  # num_hidden_layers",
        "    num_attention_heads: 32  # num_attention_heads",
        "    bias: false",
        "weights: mistral",
        "# - top_k: generation; generation_config.json decides",
        "# - rope_scaling: null changes nothing",
    } <= {*done.out.splitlines()}


def test_a_file_is_written(configured: Path, run: Run) -> None:
    """The spec has the name of the file, passes `check` and is left alone by `fmt`."""
    done = run("import", ".", "-o", "theirs")

    assert (0, "theirs.yaml\n", "") == (done.code, done.out, done.err)
    assert run("check", "theirs.yaml").out.startswith("ok: theirs, 3 layers,")
    assert (0, "") == (run("fmt", "--check", "theirs.yaml").code, run("fmt", "--diff", "theirs.yaml").out)
    assert [configured.name, "theirs.yaml"] == sorted(os.listdir())


def test_nothing_is_overwritten_unless_forced(configured: Path, run: Run) -> None:
    """A file that is there stays as it is; with --force it is replaced."""
    Path("theirs.yaml").write_text("mine", encoding="utf-8")
    refused = run("import", "config.json", "-o", "theirs")
    kept = Path("theirs.yaml").read_text(encoding="utf-8")
    forced = run("import", "config.json", "-o", "theirs", "--force")

    assert (2, "mine", 0) == (refused.code, kept, forced.code)
    assert (
        Path("theirs.yaml").read_text(encoding="utf-8").startswith("# Behind a value: the key of config.json")
    )


def test_params_json(tmp_path: Path, run: Run) -> None:
    """Another layout of files is read alike; a folder with both is read by config.json."""
    (tmp_path / "params.json").write_text(json.dumps(PARAMS), encoding="utf-8")
    text = run("import", str(tmp_path)).out
    spec = composer.read_spec(text)

    assert {"pattern: full, swa×3  # n_layers, _sliding_window", "hidden_size: 24  # dim"} <= {
        *text.splitlines()
    }
    assert (tmp_path.name, "ministral", 8) == (spec.name, spec.weights, spec.layers)
    assert "# - max_batch_size: how many rows the authors' program makes room for" in text
    CONFIG_MAPPING["opt"]().save_pretrained(tmp_path)
    assert "opt" == composer.read_spec(run("import", str(tmp_path)).out).weights


def test_what_cannot_be_read(configured: Path, run: Run) -> None:
    """A key that nobody knows is named, and no file is made."""
    kept = json.loads(configured.read_text())
    configured.write_text(json.dumps({**kept, "sliding_windows": 3, "moe": {}}), encoding="utf-8")
    done = run("import", "config.json", "-o", "theirs")

    assert (1, "", ["config.json"]) == (done.code, done.out, os.listdir())
    assert "the key 'sliding_windows' is not known and may change the numbers [E533]" in done.err
    assert "the key 'moe' is not known" in done.err


def test_names_from_a_file_steer_nothing(tmp_path: Path, run: Run) -> None:
    """Control letters in keys and values never reach a comment or the terminal as they are."""
    config = {
        **CONFIG_MAPPING["mistral"]().to_dict(),
        "_name_or_path": "a\x1b[31m\nb: c",
        "id2label": {"0": "\x07"},
    }
    text = imported_text(config, "mine", "config.json", "config.json")

    assert "\x1b" not in text
    assert "mine" == read_document(text, "").data["name"]


def test_a_family_is_found_without_reading_all() -> None:
    """What the line of a file says of a configuration is what the family says: looking at that first misses none."""
    for name in FAMILIES:
        config = written(drawn(name, 0))

        assert [name] == [family.name for family in matching(config)]
        assert [name] == [family.name for family in families().values() if family.fits(config)]
