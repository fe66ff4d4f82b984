"""`show`, `schema` and `plugins`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import composer
from composer.describe import plan_data, plan_text, spec_schema, summarise, summary_text

from .conftest import TINY, Run


def test_show_prints_the_summary(run: Run, tiny: Path) -> None:
    """The text is that of the plan, with the options of the command line."""
    words = ("--context", "100", "--batch", "2", "--dtype", "float32", "--set", "blocks.swa.sliding_window=8")
    done = run("show", "tiny.yaml", *words)
    plan = composer.resolve(composer.read_spec(tiny, set=["blocks.swa.sliding_window=8"]))

    assert (0, "") == (done.code, done.err)
    assert summary_text(summarise(plan, 100, 2, "float32")) + "\n" == done.out


def test_show_json(run: Run) -> None:
    """The same numbers for a program, and on request the plan."""
    plan = composer.resolve(composer.read_spec("pocket-mistral"))
    data = json.loads(run("show", "pocket-mistral", "--json", "--plan").out)

    assert plan_data(plan) == data.pop("plan")
    assert json.loads(json.dumps(summarise(plan).to_json())) == data
    assert (902_272, 4096) == (data["parameters"], data["context"])


def test_show_plan(run: Run) -> None:
    """The whole plan is the text of the golden files."""
    plan = composer.resolve(composer.read_spec("pocket-mistral"))

    assert plan_text(plan) == run("show", "pocket-mistral", "--plan").out


def test_show_a_pattern(run: Run, tiny: Path) -> None:
    """A pattern with a base: all but the pattern is as there."""
    done = run("show", "swa*2, full*2", "--like", "tiny.yaml")
    wrong = run("show", "swa*2, fll*2", "--like", "tiny.yaml")

    assert done.out.startswith("swa*2, full*2 like tiny.yaml: 8 layers, causal-lm\n")
    assert ["0..1", "2..3", "4..5", "6..7"] == re.findall(r"^\d\.\.\d", done.out, re.MULTILINE)
    assert (
        "<pattern>:1:8: pattern: unknown block 'fll' [E320]\n    1 | swa*2, fll*2\n      |        ^^^\n"
        in wrong.err
    )


TRACKS = TINY.replace("mix: mlp}", "mix: ffn}").replace(
    "pattern: full, swa×3", "pattern:\n  mixer: full, swa×3\n  ffn: mlp"
).replace("at: -1", "at: -1\n    block: mixer")  # fmt: skip


def test_show_tracks(run: Run, tiny: Path) -> None:
    """Tracks are typed in one string; those that are not named stay, and mistakes point into the string."""
    tiny.write_text(TRACKS, encoding="utf-8")
    done = run("show", "ffn: mlp×2, mlp(hidden_act='relu')×rest;", "--like", "tiny.yaml")
    both = run("check", "mixer: swa; ffn: mlp", "--like", "tiny.yaml")
    wrong = run("check", "ffn: mlp; mixer: swa, fll", "--like", "tiny.yaml", "--json")

    assert ["full/mlp", "swa/mlp"] == re.findall(r"\b(?:full|swa)/mlp\b", done.out)[:2]
    assert (0, "ok: mixer: swa; ffn: mlp like tiny.yaml, 8 layers, 78,368 parameters\n") == (
        both.code,
        both.out,
    )
    assert [("E320", "pattern.mixer", 23)] == [
        (problem["code"], problem["path"], problem["column"]) for problem in json.loads(wrong.out)
    ]


def test_problems_as_json(run: Run, tiny: Path) -> None:
    """Under --json a refused spec is JSON on stdout as well as words on stderr."""
    tiny.write_text(TINY.replace("tied: false", "tied: 1"), encoding="utf-8")
    done = run("show", "tiny.yaml", "--json")

    assert 1 == done.code
    assert ["E303"] == [problem["code"] for problem in json.loads(done.out)["problems"]]
    assert done.err.startswith("tiny.yaml:30:14: head.tied: expected true or false, found 1 [E303]")


def published(folder: Path, **changes: object) -> None:
    """A checkpoint folder as it is published, without weights."""
    config = {
        "model_type": "mistral", "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": None,
        "rope_theta": 1e6, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "hidden_act": "silu",
        **changes,
    }  # fmt: skip
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_checkpoint_folders(run: Run, tiny: Path) -> None:
    """A folder is described by its composer.yaml or by its config.json, without opening the weights."""
    published(tiny.parent / "theirs")
    ours = tiny.parent / "ours"
    ours.mkdir()
    (ours / "composer.yaml").write_text(TINY, encoding="utf-8")

    assert "theirs: 3 layers, causal-lm" == run("show", "theirs").out.splitlines()[0]
    assert "theirs: 2 layers, causal-lm" == run("show", "theirs", "--set", "layers=2").out.splitlines()[0]
    assert "ok: tiny, 8 layers, 78,368 parameters\n" == run("check", "ours").out


def test_schema(run: Run) -> None:
    """The schema of the installed plugins."""
    done = run("schema")

    assert (0, "") == (done.code, done.err)
    assert spec_schema(composer.catalog()) == json.loads(done.out)


def test_plugins(run: Run) -> None:
    """A table for people and the same for programs."""
    done, data = run("plugins"), json.loads(run("plugins", "--json").out)
    lines = [line.split() for line in done.out.splitlines()]

    assert 0 == done.code
    assert ["plugin", "distribution", "version", "origin", "kinds", "ships"] == lines[0]
    ours = ["attention", "mamba2", "mlp"]
    assert [[name, "arch-composer", "installed", name] for name in ours] == [
        [line[0], line[1], *line[3:5]] for line in lines[1:4]
    ]
    assert ours == [each["plugin"] for each in data["plugins"]]
    assert [] == data["problems"]


def test_a_broken_plugin(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with its reason, the exit code says so, and other verbs go on working."""
    monkeypatch.setenv("COMPOSER_PLUGINS", "attention,mlp,mpl")
    done = run("plugins")

    assert 1 == done.code
    assert "mpl: COMPOSER_PLUGINS names the plugin 'mpl', which is not installed [E409]\n" in done.err
    assert 0 == run("check", "tiny.yaml").code
