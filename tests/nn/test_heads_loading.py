"""Checkpoints with a head, without one, and with another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import composer
from composer.nn import Model
from composer.store.save import spec_text

ROWS, TOKENS, SPAN = "sequence-classification", "token-classification", "question-answering"
SMALL = ["layers=2", "hidden_size=16", "vocab_size=40", "head={tied: false}"]
NAMES = {0: "no", 1: "yes", 2: "maybe"}


def built(head: Any, **options: Any) -> Model:
    """A small model with a published layout."""
    spec = composer.read_spec("pocket-mistral", set=SMALL)
    return composer.build(composer.resolve(spec, head=head, **options), seed=0)


@pytest.fixture
def causal(tmp_path: Path) -> Path:
    """A folder with a head over the vocabulary."""
    composer.save(built("causal-lm"), tmp_path / "causal")
    return tmp_path / "causal"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A folder with a head over three classes."""
    composer.save(built(ROWS, id2label=NAMES, problem_type="regression"), tmp_path / "rows")
    return tmp_path / "rows"


@pytest.mark.parametrize("head", [ROWS, TOKENS, SPAN])
def test_a_new_head_is_drawn_and_named(head: Any, causal: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In one line; the body is that of the folder, the head what the spec says of linear maps."""
    model = composer.load(causal, head=head)
    new = ("head.weight",) if head == ROWS else ("head.weight", "head.bias")
    expected = f"{causal} has not this head: new and drawn: {', '.join(new)}; not used: lm_head.weight"

    assert [expected] == [record.getMessage() for record in caplog.records]
    assert (new, ("lm_head.weight",)) == (model.loading.new, model.loading.unused)
    assert torch.equal(
        composer.load(causal).layers[1].mlp.down.down.weight, model.layers[1].mlp.down.down.weight
    )
    assert 0.005 < model.head.weight.std().item() < 0.05
    assert not any(parameter.is_meta for parameter in model.parameters())


def test_nothing_is_said_of_a_head_that_is_left_out(causal: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was asked for, and is listed."""
    model = composer.load(causal, head="base")

    assert ((), ("lm_head.weight",)) == (model.loading.new, model.loading.unused)
    assert [] == caplog.records
    assert ((), ()) == (composer.load(causal).loading.new, composer.load(causal).loading.unused)


@pytest.mark.parametrize("layout", ["hf", "composer"])
@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("base", {}),
        (ROWS, {"id2label": NAMES, "problem_type": "regression", "pad_token_id": 3}),
        (ROWS, {"num_labels": 1}),
        (TOKENS, {"num_labels": 4, "classifier_dropout": 0.25, "token_classification_bias": False}),
        (TOKENS, {}),
        (SPAN, {}),
    ],
)
def test_a_folder_has_its_own_head(head: Any, options: Any, layout: str, tmp_path: Path) -> None:
    """Kind and numbers come back without being asked for, and so do the tensors."""
    spec = composer.read_spec(
        "pocket-mistral", set=[*SMALL, "embedding={padding: 3}"] if "pad_token_id" in options else SMALL
    )
    model = composer.build(composer.resolve(spec, head=head, **options), seed=0)
    composer.save(built("causal-lm"), tmp_path / "m", layout=layout)  # nothing of an older head stays
    composer.save(model, tmp_path / "m", layout=layout)
    again = composer.load(tmp_path / "m")

    assert model.plan.head == again.plan.head
    assert ((), ()) == (again.loading.new, again.loading.unused)
    ours, theirs = model.state_dict(), again.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    composer.save(built("causal-lm"), tmp_path / "m", layout=layout)
    assert "causal-lm" == composer.load(tmp_path / "m").plan.head.kind


def test_a_problem_that_labels_decided_is_saved(tmp_path: Path) -> None:
    """As in the reference."""
    model = built(ROWS)
    assert None is model.problem_type
    model(torch.tensor([[1, 2]]), labels=torch.tensor([1]))
    composer.save(model, tmp_path / "m")

    assert "single_label_classification" == composer.load(tmp_path / "m").problem_type


def test_other_classes_are_another_head(rows: Path) -> None:
    """The number or the names that are asked for; the same number keeps the names."""
    same, more = composer.load(rows, num_labels=3), composer.load(rows, num_labels=4)
    named = composer.load(rows, id2label={0: "a", 1: "b", 2: "c"})

    assert (("no", "yes", "maybe"), (), "regression") == (
        same.plan.head.labels,
        same.loading.new,
        same.problem_type,
    )
    assert (("head.weight",), ("score.weight",)) == (more.loading.new, more.loading.unused)
    assert None is more.problem_type
    assert (("a", "b", "c"), ()) == (named.plan.head.labels, named.loading.new)


@pytest.mark.parametrize("head", ["causal-lm", TOKENS, SPAN])
def test_a_folder_with_another_head(head: Any, rows: Path) -> None:
    """What is stored of it is not used, also where the names are alike."""
    model = composer.load(rows, head=head)

    assert "head.weight" in model.loading.new
    assert ("score.weight",) == model.loading.unused
    assert (None if head != TOKENS else ("no", "yes", "maybe")) == model.plan.head.labels


def test_the_body_must_be_there(causal: Path) -> None:
    """Only a head is ever drawn, and only where the folder does not claim to have it."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(causal / "model.safetensors")
    for lost, head in (("model.norm.weight", ROWS), ("lm_head.weight", "causal-lm")):
        save_file({n: t for n, t in tensors.items() if n != lost}, causal / "model.safetensors")
        with pytest.raises(composer.ComposerError, match=f"this tensor is missing: {lost}"):
            composer.load(causal, head=head)  # type: ignore[arg-type]  # one of them


@pytest.mark.parametrize("stored", [True, False])
def test_a_folder_that_names_no_head(stored: bool, rows: Path) -> None:
    """Tensors of the head that is asked for are used where they are."""
    file = rows / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "architectures": None}), encoding="utf-8")
    model = composer.load(rows, head=ROWS if stored else SPAN)

    assert (() if stored else ("head.weight", "head.bias")) == model.loading.new
    with pytest.raises(composer.ComposerError, match=r"this tensor is missing: lm_head.weight"):
        composer.load(rows)


def test_a_padding_token_that_the_configuration_has_not(rows: Path, tmp_path: Path) -> None:
    """It is given to `load`, as to the reference, and travels along."""
    model = composer.load(rows, pad_token_id=7)
    composer.save(model, tmp_path / "again")

    assert (7, 7) == (model.plan.head.pad_token_id, model.plan.embedding.padding)
    assert 7 == composer.load(tmp_path / "again").plan.head.pad_token_id


def test_dropout_by_its_older_name(causal: Path) -> None:
    """It stands in where the newer one says nothing, for a head over tokens alone."""
    file = causal / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    for given, expected in (({"hidden_dropout": 0.5}, 0.5), ({"classifier_dropout": None}, 0.1)):
        file.write_text(json.dumps({**config, **given}), encoding="utf-8")
        assert expected == composer.load(causal, head=TOKENS).plan.head.dropout


def test_names_that_one_head_begins_otherwise(tmp_path: Path) -> None:
    """A body is found in them under any head."""
    spec = composer.read_spec("pocket-ministral")
    model = composer.build(composer.resolve(spec, head=SPAN), seed=0)
    composer.save(model, tmp_path / "m")
    body, classes = composer.load(tmp_path / "m", head="base"), composer.load(tmp_path / "m", head=ROWS)

    assert torch.equal(model.norm.weight, body.norm.weight)
    assert torch.equal(model.embed.weight, classes.embed.weight)
    assert ("qa_outputs.weight", "qa_outputs.bias") == tuple(sorted(classes.loading.unused, reverse=True))


def test_heads_that_nobody_publishes(tmp_path: Path) -> None:
    """They are saved in our own layout, and refused in one that could not name them."""
    spec = composer.read_spec("pocket-zamba2")
    model = composer.build(composer.resolve(spec, head=TOKENS), seed=0)
    with pytest.raises(composer.ComposerError, match=f"no published head is '{TOKENS}'") as caught:
        composer.save(model, tmp_path / "m")
    composer.save(model, tmp_path / "m", layout="composer")

    assert "layout='composer'" in str(caught.value)
    assert TOKENS == composer.load(tmp_path / "m").plan.head.kind


@pytest.mark.parametrize(
    ("file", "data", "text"),
    [
        ("config.json", {"id2label": {"1": "a"}}, "config.json: must number its 1 classes from 0 to 0"),
        (
            "config.json",
            {"problem_type": "ranking"},
            "must be one of regression, single_label_classification",
        ),
        ("head.json", {"head": "score"}, "head.json: no head of the kind 'score'"),
        ("head.json", {}, "head.json: no head of the kind null"),
        ("head.json", {"head": ROWS, "classes": 3}, "has the number 'classes'"),
    ],
)
def test_e534_heads_that_cannot_be(file: str, data: dict[str, Any], text: str, rows: Path) -> None:
    """The file is named."""
    before = json.loads((rows / file).read_text(encoding="utf-8")) if (rows / file).exists() else {}
    (rows / file).write_text(json.dumps({**before, **data}), encoding="utf-8")
    if file == "head.json":  # of our own layout
        (rows / "composer.yaml").write_text(spec_text(composer.load(rows).plan.spec), encoding="utf-8")
    with pytest.raises(composer.ComposerError) as caught:
        composer.load(rows)

    assert "E534" == caught.value.code
    assert text in str(caught.value)
