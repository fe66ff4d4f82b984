"""`export`: a checkpoint in another layout; of a spec its configuration."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import composer

from .conftest import Run

POCKET = "pocket-mistral"
IDS = torch.tensor([[1, 5, 7, 9, 11, 2, 4]])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        ("hf", {"config.json", "model.safetensors"}),
        ("composer", {"composer.yaml", "model.safetensors"}),
        ("mistral", {"params.json", "consolidated.safetensors"}),
    ],
)
def test_layouts(layout: str, files: set[str], run: Run) -> None:
    """Each layout has its files, tokenizer and defaults beside them, and is the same model."""
    done = run("export", POCKET, "-o", "out", "--layout", layout)
    usual = {"generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    one, other = composer.load(POCKET), composer.load("out")

    assert (0, "out\n", "") == (done.code, done.out, done.err)
    assert files | usual == {*os.listdir("out")}
    assert one.generation == other.generation
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert composer.load_tokenizer("out").encode("def") == composer.load_tokenizer(POCKET).encode("def")


def test_there_and_back(run: Run) -> None:
    """Through another layout to the one it came from: the same bytes."""
    for source, out, layout in (
        (POCKET, "a", "hf"),
        ("a", "b", "mistral"),
        ("b", "c", "composer"),
        ("c", "d", "hf"),
    ):
        assert 0 == run("export", source, "-o", out, "--layout", layout).code

    for file in ("config.json", "model.safetensors", "generation_config.json", "tokenizer.json"):
        assert Path("a", file).read_bytes() == Path("d", file).read_bytes()


def test_transformers_reads_what_was_exported(run: Run) -> None:
    """Model, tokenizer and configuration load there by their folder alone; the logits are equal."""
    run("export", POCKET, "-o", "original", "--layout", "mistral")
    run("export", "original", "-o", "out")
    theirs, info = AutoModelForCausalLM.from_pretrained("out", output_loading_info=True)

    assert not any(info.values())
    assert "mistral" == AutoConfig.from_pretrained("out").model_type
    assert composer.load_tokenizer(POCKET).encode("def f(x):") == AutoTokenizer.from_pretrained("out").encode(
        "def f(x):"
    )
    with torch.no_grad():
        assert torch.allclose(
            theirs(IDS).logits, composer.load(POCKET, dtype=theirs.dtype)(IDS).logits, atol=1e-4
        )


def test_the_files_of_a_first_publication(run: Run) -> None:
    """params.json, consolidated weights and pieces become a folder that AutoTokenizer and AutoModel read."""
    mistral_common = pytest.importorskip("mistral_common")
    pieces = Path(mistral_common.__file__).parent / "data" / "mistral_instruct_tokenizer_240323.model.v3"
    Path("small.yaml").write_text(f"extends: {POCKET}\nvocab_size: 32768\nlayers: 2\n", encoding="utf-8")
    model = composer.build(composer.resolve(composer.read_spec("small.yaml")), seed=0)
    composer.save(model, "original", layout="mistral")
    shutil.copy(pieces, "original/tokenizer.model.v3")
    done = run("export", "original", "-o", "out")
    ids = composer.load_tokenizer("original").encode("Hello world")

    assert (0, "") == (done.code, done.err)
    assert [1, 23325, 2294] == ids == AutoTokenizer.from_pretrained("out").encode("Hello world")
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained("out")(torch.tensor([ids])).logits
        assert torch.allclose(theirs, model(torch.tensor([ids])).logits, atol=1e-4)
    run("export", "out", "-o", "back", "--layout", "mistral")
    for file in ("consolidated.safetensors", "params.json", "tokenizer.model.v3"):
        assert Path("original", file).read_bytes() == Path("back", file).read_bytes()


def test_dtype(run: Run) -> None:
    """The weights are cast when that is asked for."""
    run("export", POCKET, "-o", "out", "--dtype", "bfloat16")

    assert {torch.bfloat16} == {tensor.dtype for tensor in load_file("out/model.safetensors").values()}
    assert "bfloat16" == json.loads(Path("out/config.json").read_text())["dtype"]
    run("export", "mistral-7b-v0.1", "-o", "config", "--dtype", "float16")
    assert "float16" == json.loads(Path("config/config.json").read_text())["dtype"]


@pytest.mark.parametrize(
    ("layout", "file"), [("hf", "config.json"), ("composer", "composer.yaml"), ("mistral", "params.json")]
)
def test_a_spec_alone(layout: str, file: str, run: Run) -> None:
    """It has no weights, so only its configuration is written, and that is said."""
    done = run("export", "mistral-7b-v0.3", "-o", "out", "--layout", layout)

    assert (0, "out\n", [file]) == (done.code, done.out, os.listdir("out"))
    assert "mistral-7b-v0.3 is a spec, which has no weights: only the configuration is written\n" == done.err
    assert "7,248,023,552" in run("show", "out").out


def test_a_configuration_for_training_elsewhere(run: Run) -> None:
    """transformers makes the architecture of a spec from what was written."""
    run("export", POCKET.replace("mistral", "ministral"), "-o", "out")
    config = AutoConfig.from_pretrained("out")
    model = AutoModelForCausalLM.from_config(config)
    plan = composer.resolve(composer.read_spec("pocket-ministral"))

    assert plan.parameter_count == sum(p.numel() for p in model.parameters())


def test_nothing_is_overwritten_unless_forced(run: Run) -> None:
    """A folder with files is left alone; with --force the old weights go and other files stay."""
    run("export", POCKET, "-o", "out", "--layout", "mistral")
    Path("out/README.md").write_text("mine")
    before = sorted(os.listdir("out"))
    refused = run("export", POCKET, "-o", "out")
    assert (2, before) == (refused.code, sorted(os.listdir("out")))
    assert "out holds files already [E912]" in refused.err

    assert 0 == run("export", "out", "-o", "out", "--force").code
    assert {"README.md", "config.json", "model.safetensors"} <= {*os.listdir("out")}
    assert not {"params.json", "consolidated.safetensors"} & {*os.listdir("out")}


def test_what_a_layout_cannot_say(run: Run) -> None:
    """The fields that do not fit are named, and nothing is written."""
    Path("mine.yaml").write_text(
        f"extends: {POCKET}\nblocks: {{mlp: {{hidden_act: gelu}}}}\n", encoding="utf-8"
    )
    done = run("export", "mine.yaml", "-o", "out", "--layout", "mistral")
    other = run("export", "mine.yaml", "-o", "out", "--layout", "hf")

    assert (1, "", 0) == (done.code, done.out, other.code)
    assert ["mine.yaml", "out"] == sorted(os.listdir())
    assert (
        "layers.{0..3}.mlp.hidden_act: a configuration of params-json cannot say this: it is 'gelu'"
        in done.err
    )


def test_a_folder_without_a_tokenizer(run: Run) -> None:
    """It is written without one, and that is said."""
    composer.save(composer.load(POCKET), "plain")
    done = run("export", "plain", "-o", "out")

    assert (0, "plain has no tokenizer, so none is written\n") == (done.code, done.err)
    assert "tokenizer.json" not in os.listdir("out")
