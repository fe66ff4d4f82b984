"""The pocket models that ship: what their folders say about them is true."""

from __future__ import annotations

import hashlib
import json
import sysconfig
from functools import cache
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

SHIPPED = ("pocket-mistral", "pocket-ministral", "pocket-zamba2")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def folder(name: str) -> Path:
    """Where a shipped model lies."""
    return specs_folder() / name


@cache
def facts(name: str) -> dict[str, Any]:
    """What the folder says about the model in it."""
    found: dict[str, Any] = json.loads((folder(name) / "provenance.json").read_text(encoding="utf-8"))
    return found


@cache
def model(name: str) -> Any:
    """The shipped weights, computed with in float32."""
    return composer.load(folder(name), dtype=torch.float32)


def bits(name: str, file: str) -> float:
    """Bits per byte of one file of the running interpreter's library."""
    tokenizer, text = composer.load_tokenizer(folder(name)), (LIBRARY / file).read_text(encoding="utf-8")
    ids = np.array([*tokenizer.encode(text), 2])
    return bits_per_byte(model(name), Tokens(ids, np.array([0]), len(text.encode())), 256)


@pytest.fixture
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts of benchmarks/ can be imported."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_folder_is_whole_and_small(name: str) -> None:
    """At most 2 MB with tokenizer, loss curve and provenance; the weights are those that were measured."""
    assert sum(path.stat().st_size for path in folder(name).iterdir()) <= 2_000_000
    for file, digest in facts(name)["sha256"].items():
        assert hashlib.sha256((folder(name) / file).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", SHIPPED)
def test_the_spec_the_weights_and_the_configuration_agree(name: str) -> None:
    """One architecture, read from three files; counted as the spec says."""
    plan = composer.resolve(composer.read_spec(name))
    stored = composer.load(folder(name))
    assert stored.plan == plan
    assert stored.dtype == torch.bfloat16
    assert plan.parameter_count == facts(name)["parameters"] == plan.spec.metadata["parameters"]
    assert sum(parameter.numel() for parameter in stored.parameters()) == plan.parameter_count
    assert (folder(name) / "composer.yaml").read_bytes() == folder(name).with_suffix(".yaml").read_bytes()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_loss_curve_is_of_this_run(name: str) -> None:
    """It reaches the last step, the tokens of the budget, and falls."""
    text = (folder(name) / "loss.jsonl").read_text(encoding="utf-8")
    losses = [line for line in map(json.loads, text.splitlines()) if "loss" in line]
    assert losses[-1]["step"] == facts(name)["run"]["steps"]
    assert losses[-1]["tokens"] == facts(name)["tokens"]
    assert losses[-1]["loss"] < losses[0]["loss"] / 2


def test_all_were_made_from_the_same_text_in_the_same_way() -> None:
    """Corpus, tokenizer, budget and schedule are those of pocket-mistral."""
    first = facts(SHIPPED[0])
    for name in SHIPPED:
        assert facts(name)["corpus"] == first["corpus"]
        assert facts(name)["run"] == first["run"]
        assert facts(name)["sha256"]["tokenizer.json"] == first["sha256"]["tokenizer.json"]


def test_the_pocket_model_beats_the_baseline_as_recorded() -> None:
    """Held-out bits per byte below those of the 5-gram model over the same tokens."""
    recorded = facts("pocket-mistral")["figures"]["held_out_bits_per_byte"]
    assert recorded["model"] < recorded["5-gram"]


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name in SHIPPED for file in facts(name)["sample_bits_per_byte"]]
)
def test_held_out_files_cost_the_bits_that_were_recorded(name: str, file: str) -> None:
    """The running interpreter may have another edition of the file: within a tenth."""
    if not (LIBRARY / file).exists():
        pytest.skip(f"this interpreter has no {file}")
    assert bits(name, file) == pytest.approx(facts(name)["sample_bits_per_byte"][file], rel=0.1)


@pytest.mark.usefixtures("_benchmarks")
@pytest.mark.parametrize("name", SHIPPED)
def test_its_text_is_recognisably_python(name: str) -> None:
    """Greedy, from the beginning of a function: the lines that `tokenize` accepts are the rule."""
    from pocket_figures import share_accepted

    tokenizer = composer.load_tokenizer(folder(name))
    prompts = [torch.tensor([tokenizer.encode(text)]) for text in ("def read(", "class Parser", "import ")]
    texts = [tokenizer.decode(model(name).generate(ids, max_new_tokens=96)[0].tolist()) for ids in prompts]
    lines = [line for text in texts for line in text.splitlines()[:-1]]
    assert share_accepted(lines)["share"] >= 0.6


@pytest.mark.usefixtures("_benchmarks")
@pytest.mark.parametrize("name", SHIPPED)
def test_the_table_of_runs_agrees_with_what_ships(name: str) -> None:
    """Seed 0 of the table is the shipped model: same figures, same curve."""
    from pocket_runs import RUNS, curve
    from pocket_ship import losses

    run, figures = json.loads(RUNS.read_text(encoding="utf-8"))[name]["0"], facts(name)["figures"]
    assert run["held_out_bits_per_byte"]["256"] == figures["held_out_bits_per_byte"]["model"]
    assert run["lines_accepted_by_tokenize"] == figures["lines_accepted_by_tokenize"]["model"]
    assert run["loss"] == curve(losses(folder(name) / "loss.jsonl"))


@pytest.mark.usefixtures("_benchmarks")
def test_the_picture_and_the_page_show_the_table_of_runs() -> None:
    """The picture is drawn from the table as it stands, and the page has a row with each run's figures."""
    from pocket_picture import RUNS, picture

    runs = json.loads(RUNS.read_text(encoding="utf-8"))
    assert RUNS.with_suffix(".svg").read_text(encoding="utf-8") == picture(runs)
    page = (BENCHMARKS / "pocket.md").read_text(encoding="utf-8")
    for name, seeds in runs.items():
        for seed, run in seeds.items():
            short, long = run["held_out_bits_per_byte"].values()
            lines = run["lines_accepted_by_tokenize"]["share"]
            assert f"| {name} | {seed} | {short:.4f} | {long:.4f} | {lines:.1%} |".replace("%", " %") in page


@pytest.mark.usefixtures("_benchmarks")
def test_a_point_of_a_curve_is_the_mean_of_its_steps() -> None:
    """Lines of 25 steps, points of 100."""
    from pocket_runs import curve

    log = [{"step": float(step), "loss": float(step)} for step in range(25, 226, 25)]
    assert [62.5, 162.5, 225.0] == curve(log)


@pytest.mark.usefixtures("_benchmarks")
def test_runs_with_different_tokenizers_are_refused(tmp_path: Path) -> None:
    """All runs of a folder learn their vocabulary from one text: a difference stops everything."""
    from pocket import check_vocabularies, run_folder

    for seed, content in ((0, "a"), (1, "a"), (2, "b")):
        check_vocabularies(tmp_path)
        place = run_folder(tmp_path, "pocket-mistral", seed) / "tokenizer"
        place.mkdir(parents=True)
        (place / "tokenizer.json").write_text(content)
    with pytest.raises(SystemExit, match="2 different tokenizers"):
        check_vocabularies(tmp_path)


@pytest.mark.usefixtures("_benchmarks")
@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.skipif(not FULL, reason="the full evaluation takes minutes; COMPOSER_PROVE=1 runs it")
def test_the_recorded_figures_can_be_measured_again(tmp_path: Path, name: str) -> None:
    """The whole held-out text, the 5-gram model learnt anew, 64 samples of each."""
    from pocket import write_corpus
    from pocket_figures import Texts, figures
    from pocket_ship import facts_of

    corpus = write_corpus(tmp_path / "corpus")
    found = figures(model(name), Texts(corpus, folder(name) / "tokenizer.json"))
    measured, recorded = found["held_out_bits_per_byte"], facts(name)["figures"]["held_out_bits_per_byte"]
    claim = f"{name}: held-out bits per byte (limit: the 5-gram model's)"
    at_most(claim, measured["model"], measured["5-gram"])
    shares = found["lines_accepted_by_tokenize"]
    at_most(f"{name}: share of its lines that tokenize refuses", 1 - shares["model"]["share"], 0.5)
    if facts_of(corpus)["sha256"] == facts(name)["corpus"]["sha256"]:
        assert measured == pytest.approx(recorded, abs=2e-3)
