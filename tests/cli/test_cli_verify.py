"""`verify` on the command line: the table and JSON on stdout, progress on stderr, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import composer
from composer.testing import verify

from .conftest import Run


def test_the_table_and_the_progress(run: Run, tiny: Path) -> None:
    """Data on stdout, talk on stderr; what is absent is no fault."""
    done = run("verify", "tiny.yaml", "--tokens", "12", "--set", "hidden_size=16")
    plan = composer.resolve(composer.read_spec(tiny, set=["hidden_size=16"]))

    assert 0 == done.code
    assert f"{verify(plan, tokens=12)}\n" == done.out
    assert done.err.startswith("… drawing ")
    assert "… cached, chunks\n" in done.err


def test_json(run: Run, tiny: Path) -> None:
    """The same for a program, with all options."""
    words = ("--tokens", "9", "--seed", "3", "--dtype", "float64", "--limit", "1.5", "--json")
    data = json.loads(run("verify", "tiny.yaml", *words).out)

    assert ["tiny", "float64", 9, 3, 1_500_000_000, True] == [
        data[key] for key in ("name", "dtype", "tokens", "seed", "limit", "ok")
    ]
    assert {"ok", "not checked"} == {row["verdict"] for row in data["checks"]}


def test_exit_code_1_where_something_is_wrong(run: Run, tiny: Path) -> None:
    """A folder that lacks a tensor."""
    spec = composer.read_spec(tiny)
    composer.save(composer.build(composer.resolve(spec), seed=0), "folder", layout="composer")
    file = tiny.parent / "folder" / "model.safetensors"
    tensors = load_file(file)
    del tensors["norm.weight"]
    save_file(tensors, file)
    done = run("verify", "folder")

    assert 1 == done.code
    assert "2 ok, 1 wrong, 11 not checked" == done.out.splitlines()[-1]
    assert "norm.weight" in done.out


@pytest.mark.parametrize(
    "words",
    [["verify"], ["verify", "tiny.yaml", "--tokens", "1"], ["verify", "tiny.yaml", "--limit", "0"]],
    ids=" ".join,
)
def test_exit_code_2_for_wrong_usage(run: Run, tiny: Path, words: list[str]) -> None:
    """What cannot be asked."""
    assert 2 == run(*words).code


def test_a_shipped_name_is_its_weights_and_with_set_its_spec(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heading says which."""
    weights = run("verify", "pocket-mistral", "--limit", "0.001").out.splitlines()[0]
    drawn = run("verify", "pocket-mistral", "--limit", "0.001", "--set", "layers=2").out.splitlines()[0]

    assert weights.startswith("pocket-mistral: the weights of ")
    assert weights.endswith("specs/pocket-mistral")
    assert "pocket-mistral: weights drawn as the spec says, with seed 0" == drawn
