"""params.json: what the published ones mean, the way back, and what it cannot say."""

from __future__ import annotations

import random
from typing import Any

import pytest

import composer
from composer.errors import WeightsError
from composer.layout.exporting import export_config
from composer.layout.family import families, originals
from composer.layout.importing import import_config
from composer.layout.view import view
from composer.plan import Plan

from . import prove
from .published import drawn

Config = dict[str, Any]
SEVEN: Config = {
    "dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8,
    "norm_eps": 1e-05, "vocab_size": 32000,
}  # fmt: skip
EIGHT: Config = {
    **SEVEN, "n_layers": 36, "hidden_dim": 12288, "vocab_size": 131072, "rope_theta": 1e8,
    "_sliding_window": [None, 32768, 32768, 32768],
}  # fmt: skip
PUBLISHED: dict[str, Config] = {
    "mistral-7b-v0.1": {**SEVEN, "sliding_window": 4096},
    "mistral-7b-v0.2": {**SEVEN, "rope_theta": 1000000.0},
    "mistral-7b-v0.3": {**SEVEN, "rope_theta": 1000000.0, "vocab_size": 32768},
    "ministral-8b-instruct-2410": EIGHT,
}


def planned(config: Config) -> Plan:
    """The plan of a configuration."""
    return composer.resolve(import_config(config, "x"))


def back(plan: Plan) -> Config:
    """The params.json of a plan."""
    return export_config(plan, originals()["mistral"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_mean_the_shipped_specs(name: str) -> None:
    """The fields of each release make the plan of its spec, which says the same fields."""
    plan, shipped = planned(PUBLISHED[name]), composer.resolve(composer.read_spec(name))
    period = PUBLISHED[name].get("_sliding_window", [])
    said = {"rope_theta": 10000.0, **PUBLISHED[name]}
    if period:
        said["_sliding_window"] = period * (said["n_layers"] // len(period))

    assert view(plan) == view(shipped)
    assert said == back(shipped)
    assert shipped.spec.weights == plan.spec.weights
    assert shipped.parameter_count == plan.parameter_count


def expressible(draw: random.Random) -> Config:
    """A random params.json."""
    layers, heads = draw.randint(1, 8), draw.choice([(4, 2), (4, 4), (3, 1)])
    window = draw.choice([1, 5, "7", 4096])
    windows = draw.choices(
        [None, window], k=draw.choice([n for n in range(1, layers + 1) if layers % n == 0])
    )
    said = draw.choice(
        [{}, {"sliding_window": window}, {"_sliding_window": windows}, {"sliding_window": windows}]
    )
    more = [
        {"max_seq_len": draw.choice([128, 32768])},
        {"tied_embeddings": draw.random() < 0.5},
        {"moe": None},
    ]
    return {
        "dim": draw.choice([12, 24]), "n_layers": layers, "head_dim": draw.choice([4, 8]), "hidden_dim": 20,
        "n_heads": heads[0], "n_kv_heads": heads[1], "norm_eps": draw.choice([1e-5, 1e-6]), "vocab_size": 31,
        "rope_theta": draw.choice([100.0, 1e6]), **said, **draw.choice([{}, *more]),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(prove.cases(30, 1000)))
def test_there_and_back(seed: int) -> None:
    """What is written is read as the same plan, and as the same text; in the words of transformers, too."""
    plan = planned(expressible(random.Random(seed)))
    written = back(plan)
    theirs = export_config(plan, families()[plan.spec.weights or ""])

    assert view(plan) == view(planned(written)) == view(planned(theirs))
    assert written == back(planned(written)) == back(planned(theirs))


def outcome(plan: Plan) -> str:
    """What becomes of a plan: the fields that do not fit, or whether it was read back as it is."""
    try:
        written = back(plan)
    except WeightsError as error:
        return ", ".join(f"{problem.code} {problem.path}" for problem in error.problems)
    return "the same" if view(plan) == view(planned(written)) else "another"


def test_written_exactly_if_it_can_be_read_back() -> None:
    """Of configurations of transformers, those that fit are written and mean the same; of others a field is named."""
    ends = {outcome(planned(drawn("ministral", seed))) for seed in range(prove.cases(60, 2000))}

    assert "the same" in ends
    assert all(end == "the same" or end.startswith("E536 ") for end in ends)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("blocks.mlp.hidden_act=gelu", "layers.{0..31}.mlp.hidden_act"),
        ("init.linear.spread=0.1", "init.linear.spread"),
        ("embedding.padding=0", "embedding.padding"),
        ("blocks.swa.scale=0.5", "layers.{0..31}.mixer.scale"),
        ("blocks.swa.attention_dropout=0.1", "layers.{0..31}.mixer.attention_dropout"),
        ("head.softcap=30", "head.softcap"),
    ],
)
def test_what_the_layout_cannot_say(change: str, field: str) -> None:
    """The field is named with what it would become."""
    spec = composer.read_spec("mistral-7b-v0.1", set=[change])
    with pytest.raises(WeightsError, match="a configuration of params-json cannot say this") as caught:
        back(composer.resolve(spec))

    assert [("E536", field)] == [(problem.code, problem.path) for problem in caught.value.problems]


def test_other_models_do_not_fit() -> None:
    """A family of another form is refused, not cut to size."""
    for name in ("opt-125m", "zamba2-1.2b", "gpt2"):
        with pytest.raises(WeightsError) as caught:
            back(composer.resolve(composer.read_spec(name)))
        assert {problem.code for problem in caught.value.problems} <= {"E532", "E536"}
