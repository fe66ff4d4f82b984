"""The pocket model that ships: what its folder says about it is true."""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import composer
from composer.shipped import specs_folder
from composer.train.evaluate import bits_per_byte
from composer.train.tokens import Tokens

from .prove import FULL, at_most

FOLDER = specs_folder() / "pocket-mistral"
FACTS: dict[str, Any] = json.loads((FOLDER / "provenance.json").read_text(encoding="utf-8"))
LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def bits(name: str) -> float:
    """Bits per byte of one file of the running interpreter's library."""
    tokenizer, text = composer.load_tokenizer(FOLDER), (LIBRARY / name).read_text(encoding="utf-8")
    ids = np.array([*tokenizer.encode(text), 2])
    tokens = Tokens(ids, np.array([0]), len(text.encode()))
    return bits_per_byte(composer.load(FOLDER, dtype=torch.float32), tokens, 256)


def test_the_folder_is_whole_and_small() -> None:
    """At most 2 MB with tokenizer, loss curve and provenance; the weights are those that were measured."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 2_000_000
    for name, digest in FACTS["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_the_spec_the_weights_and_the_configuration_agree() -> None:
    """One architecture, read from three files; counted as the spec says."""
    plan = composer.resolve(composer.read_spec("pocket-mistral"))
    model = composer.load(FOLDER)
    assert model.plan == plan
    assert model.dtype == torch.bfloat16
    assert plan.parameter_count == FACTS["parameters"] == plan.spec.metadata["parameters"]
    assert sum(parameter.numel() for parameter in model.parameters()) == plan.parameter_count


def test_the_loss_curve_is_of_this_run() -> None:
    """It reaches the last step, the tokens of the budget, and falls."""
    lines = [json.loads(line) for line in (FOLDER / "loss.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line for line in lines if "loss" in line]
    assert losses[-1]["step"] == FACTS["run"]["steps"]
    assert losses[-1]["tokens"] == FACTS["tokens"]
    assert losses[-1]["loss"] < losses[0]["loss"] / 2


def test_the_pocket_model_beats_the_baseline_as_recorded() -> None:
    """Held-out bits per byte below those of the 5-gram model over the same tokens."""
    recorded = FACTS["figures"]["held_out_bits_per_byte"]
    assert recorded["model"] < recorded["5-gram"]


@pytest.mark.parametrize("name", FACTS["sample_bits_per_byte"])
def test_held_out_files_cost_the_bits_that_were_recorded(name: str) -> None:
    """The running interpreter may have another edition of the file: within a tenth."""
    if not (LIBRARY / name).exists():
        pytest.skip(f"this interpreter has no {name}")
    assert bits(name) == pytest.approx(FACTS["sample_bits_per_byte"][name], rel=0.1)


def test_its_text_is_recognisably_python() -> None:
    """Greedy, from the beginning of a function: the lines that `tokenize` accepts are the rule."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    from pocket_figures import share_accepted

    tokenizer, model = composer.load_tokenizer(FOLDER), composer.load(FOLDER, dtype=torch.float32)
    prompts = [torch.tensor([tokenizer.encode(text)]) for text in ("def read(", "class Parser", "import ")]
    texts = [tokenizer.decode(model.generate(ids, max_new_tokens=96)[0].tolist()) for ids in prompts]
    lines = [line for text in texts for line in text.splitlines()[:-1]]
    assert share_accepted(lines)["share"] >= 0.6


@pytest.mark.skipif(not FULL, reason="the full evaluation takes minutes; COMPOSER_PROVE=1 runs it")
def test_the_recorded_figures_can_be_measured_again(tmp_path: Path) -> None:
    """The whole held-out text, the 5-gram model learnt anew, 64 samples of each."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    from pocket import write_corpus
    from pocket_figures import Texts, figures
    from pocket_ship import facts_of

    corpus = write_corpus(tmp_path / "corpus")
    model = composer.load(FOLDER, dtype=torch.float32)
    found = figures(model, Texts(corpus, FOLDER / "tokenizer.json"))
    measured, recorded = found["held_out_bits_per_byte"], FACTS["figures"]["held_out_bits_per_byte"]
    claim = "pocket-mistral: held-out bits per byte (limit: the 5-gram model's)"
    at_most(claim, measured["model"], measured["5-gram"])
    shares = found["lines_accepted_by_tokenize"]
    at_most("pocket-mistral: share of its lines that tokenize refuses", 1 - shares["model"]["share"], 0.5)
    if facts_of(corpus)["sha256"] == FACTS["corpus"]["sha256"]:
        assert measured == pytest.approx(recorded, abs=2e-3)
