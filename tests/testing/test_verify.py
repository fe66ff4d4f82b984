"""`composer.testing.verify`: what is right passes with figures, what is absent is said to be absent."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import composer
from composer import Plan
from composer.testing import Row, Verification, verify
from composer.testing.verify_subject import length

SPEC = """
composer: 1
name: small
vocab_size: 50
hidden_size: 16
max_position_embeddings: 64
norm: {kind: rms, eps: 1.0e-5}
layer: [{norm: rms, mix: mixer}, {norm: rms, mix: mlp}]
pattern: near×2, far
blocks:
  near: {kind: attention, num_attention_heads: 2, head_dim: 8, sliding_window: 5, rope: {theta: 1.0e4}}
  far: {extends: near, sliding_window: null}
  mlp: {kind: mlp, intermediate_size: 24, hidden_act: silu, gated: true}
"""
CLAIMS = [
    "parameters", "cache bytes", "weights complete", "kernels", "cached, whole", "cached, one by one",
    "cached, chunks", "padding, right", "padding, right, then on", "padding, left", "padding, left, then on",
    "packing", "state, bytes", "state, long run", "saved, own layout", "saved, published layout", "equal logits",
]  # fmt: skip


def small(**changes: Any) -> Plan:
    """A tiny plan."""
    return composer.resolve(composer.read_spec(SPEC, **changes))


@pytest.fixture(scope="module")
def found() -> Verification:
    """The tiny plan, verified."""
    return verify(small())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the published form."""
    folder = tmp_path_factory.mktemp("model") / "published"
    spec = composer.read_spec(
        SPEC, set=["pattern=near", "layers=2", "weights=mistral", "blocks.near.bias=false"]
    )
    model = composer.build(composer.resolve(spec), seed=3)
    composer.save(model, folder)
    return folder


def of(found: Verification, check: str) -> Row:
    """The row of a claim."""
    return next(row for row in found if row.check == check)


def test_every_claim_has_a_row(found: Verification) -> None:
    """In this order; what ran is right, by figures within the allowed."""
    checked = [row for row in found if row.verdict == "ok"]

    assert CLAIMS == [row.check for row in found]
    assert (0, 14) == (found.count("WRONG"), len(checked))
    assert found.ok
    for row in checked:
        assert row.difference is not None
        assert row.allowed is not None
        assert row.difference <= row.allowed


def test_a_spec_has_no_weights_and_no_published_form(found: Verification) -> None:
    """Those rows say so, have no figures, and are no pass."""
    absent = {row.check: row.why for row in found if row.verdict == "not checked"}

    assert absent == {
        "weights complete": "a spec has no weights",
        "saved, published layout": "the spec 'small' names no family of published models",
        "equal logits": "the spec 'small' names no family of published models",
    }
    assert {(None, None)} == {(r.difference, r.allowed) for r in found if r.verdict == "not checked"}


def test_the_table(found: Verification) -> None:
    """Where the weights come from, how it was computed, a line a row, a sum."""
    lines = str(found).splitlines()

    assert "small: weights drawn as the spec says, with seed 0" == lines[0]
    assert lines[1].startswith("computed and compared in float32 on the CPU: 48 tokens a row")
    assert ["check", "compared", "difference", "allowed", "verdict"] == lines[3].split()
    assert 4 + len(CLAIMS) + 2 == len(lines)
    assert "14 ok, 0 wrong, 3 not checked" == lines[-1]


def test_json(found: Verification) -> None:
    """The same as plain data that strict JSON takes."""
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))

    assert ["small", "float32", 48, 0, True] == [
        data[key] for key in ("name", "dtype", "tokens", "seed", "ok")
    ]
    assert CLAIMS == [row["check"] for row in data["checks"]]
    assert {"check", "compared", "verdict", "why", "difference", "allowed", "unit"} == set(data["checks"][0])


def test_a_folder(published: Path) -> None:
    """Every row is checked: weights both ways, both layouts, and the other library."""
    found = verify(published)

    assert (f"the weights of {published}", 17) == (found.weights, found.count("ok"))
    assert "logits of 48 tokens with transformers" in of(found, "equal logits").compared


def test_a_spec_with_a_family_reaches_the_other_library() -> None:
    """Drawn weights are written in the published form, which it reads."""
    found = verify(small(set=["pattern=near", "layers=2", "weights=mistral"]), tokens=12)

    assert ["weights complete"] == [row.check for row in found if row.verdict != "ok"]


def test_what_does_not_fit_is_not_checked() -> None:
    """Only counts are made of a model that is too large; every other row says what it needs."""
    found = verify("mistral-7b-v0.1", limit=10**9)
    why = {row.why for row in found if row.verdict == "not checked"}

    assert ["parameters", "cache bytes"] == [row.check for row in found if row.verdict == "ok"]
    assert {"a spec has no weights", "needs 29.1 GB, the limit is 1.00 GB"} == why


def test_without_the_other_library(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row is not checked, and nothing else changes."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "transformers" else real(name, *a)
    )
    found = verify(published, tokens=12)

    assert ("not checked", "transformers is not installed") == (
        of(found, "equal logits").verdict, of(found, "equal logits").why,
    )  # fmt: skip
    assert 16 == found.count("ok")


def test_an_architecture_that_the_other_library_does_not_know(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, with its version."""
    import transformers

    monkeypatch.setattr(transformers, "CONFIG_MAPPING", {})
    row = of(verify(published, tokens=12), "equal logits")

    version = transformers.__version__
    assert ("not checked", f"transformers {version} does not know this architecture") == (
        row.verdict,
        row.why,
    )


def test_progress_and_seed() -> None:
    """Progress is told as it goes; a seed repeats the figures to the last digit."""
    told: list[str] = []
    one, other = verify(small(), tokens=9, seed=5, progress=told.append), verify(small(), tokens=9, seed=5)

    assert one.rows == other.rows
    assert "drawing 8,240 parameters" == told[0]
    assert "cached, chunks" in told


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    """The arithmetic is that of the dtype, and so is what is allowed."""
    found = verify(small(), dtype=dtype, tokens=11)
    row = of(found, "cached, chunks")

    assert 0 == found.count("WRONG")
    assert row.allowed is not None
    assert (row.allowed >= 0.03) == (dtype == torch.bfloat16)


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ([], 48),
        (["blocks.near.sliding_window=25"], 61),
        (["blocks.near.sliding_window=40"], 64),
        (["max_position_embeddings=null", "blocks.near.sliding_window=40"], 91),
        (["max_position_embeddings=7"], 7),
    ],
)
def test_the_length_goes_past_every_window(changes: list[str], tokens: int) -> None:
    """Unless the model ends before."""
    assert tokens == length(small(set=changes))


def test_a_window_that_is_not_reached_is_said() -> None:
    """A text that is too short for a window proves nothing about it."""
    found = verify(small(), tokens=5)

    assert of(found, "cached, whole").compared.endswith("; the window of 5 is not reached")


def test_a_model_of_very_short_texts() -> None:
    """What cannot be fed is not checked; counts and files are."""
    found = verify(small(set=["max_position_embeddings=2"]))
    why = {row.why for row in found if row.check.startswith(("cached", "padding", "packing", "state"))}

    assert {"the model takes no 4 tokens"} == why
    assert 0 == found.count("WRONG")


STRETCHED = {
    "dynamic": "{type: dynamic, factor: 2.0, theta: 10000.0}",
    "longrope": "{type: longrope, theta: 10000.0, original_max_position_embeddings: 30, "
    "short_factor: [1, 1.5, 2, 3], long_factor: [2, 4, 5, 9]}",
}


@pytest.mark.parametrize("tokens", [20, 24, 40])
@pytest.mark.parametrize("rope", STRETCHED)
def test_ropes_that_depend_on_the_length(rope: str, tokens: int) -> None:
    """Lengths are told ahead, so that every way is in the same regime, on this side of the switch and beyond."""
    most = {"dynamic": 60, "longrope": 200}[rope]
    changes = [f"blocks.near.rope={STRETCHED[rope]}", f"max_position_embeddings={most}", "pattern=near"]
    found = verify(small(set=changes), tokens=tokens)

    assert [] == [row for row in found if row.verdict == "WRONG"]


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a copy does not fit, saving is not checked, and nothing is written."""
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    rows = [row for row in verify(small(), tokens=9) if row.check.startswith("saved")]

    assert {("not checked", "needs 41.2 kB of disk, 1.00 kB are free")} == {
        (row.verdict, row.why) for row in rows
    }


HEADS = ["base", "token-classification", "sequence-classification", "question-answering"]


@pytest.mark.parametrize("head", HEADS)
def test_heads(head: Any, tmp_path: Path) -> None:
    """A folder is verified with the head that it names, up to the other library's scores."""
    spec = composer.read_spec(
        SPEC, set=["pattern=near", "layers=2", "weights=mistral", "generation={pad_token_id: 0}"]
    )
    composer.save(composer.build(composer.resolve(spec, head=head), seed=3), tmp_path / "model")
    found = verify(tmp_path / "model", tokens=12)

    assert [] == [(row.check, row.why) for row in found if row.verdict != "ok"]
    assert 17 == len(found.rows)


def test_a_head_that_the_folder_has_not(published: Path) -> None:
    """Tensors that were drawn because the folder lacks them, and those that nothing uses, are wrong."""
    row = of(verify(published, tokens=12, head="question-answering"), "weights complete")

    assert ("WRONG", 3) == (row.verdict, row.difference)
    assert (
        "head.weight is not there and was drawn; head.bias is not there and was drawn; lm_head.weight is not used"
        == row.why
    )


def test_figures_are_readable() -> None:
    """Counts whole, parts in two digits, what was not looked at as a dash, what is no number as it is."""
    from composer.testing.verify_rows import figure

    assert ["1,234", "1.2e-07", "-", "inf"] == [figure(x) for x in (1234, 1.23e-7, None, math.inf)]
