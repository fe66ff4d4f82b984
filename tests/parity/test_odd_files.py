"""Configurations that the reference reads although they are unusual: we read the same model from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from .. import prove
from .configs import case
from .oracle import Pair, relative

YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
LONG = {"type": "longrope", "factor": 4.0, "short_factor": [1.0, 2, 3, 4], "long_factor": [2.0, 3, 4, 5]}
BANDED = {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}
GONE: dict[str, Any] = {"rope_parameters": "gone"}

ODD: dict[str, dict[str, Any]] = {
    "one mscale alone": {"rope_parameters": {**YARN, "mscale": 0.7}},
    "an mscale of zero": {"rope_parameters": {**YARN, "mscale": 1, "mscale_all_dim": 0}},
    "null betas": {"rope_parameters": {**YARN, "beta_fast": None, "attention_factor": None}},
    "a whole attention factor": {"rope_parameters": {**YARN, "attention_factor": 2}},
    "null for truncate": {"rope_parameters": {**YARN, "truncate": None}},
    "no rope at all": GONE,
    "null rope": {"rope_parameters": None},
    "no theta": {"rope_parameters": {"rope_type": "default"}},
    "a whole theta": {"rope_parameters": {"rope_type": "default", "rope_theta": 500}},
    "no type": {"rope_parameters": {"rope_theta": 5e4}},
    "type instead of rope_type": {"rope_parameters": {"type": "linear", "factor": 2.0, "rope_theta": 5e4}},
    "a scaling of the default type": {**GONE, "rope_theta": 1e6, "rope_scaling": {"rope_type": "default"}},
    "theta twice": {
        **GONE,
        "rope_theta": 1e6,
        "rope_scaling": {"type": "linear", "factor": 2, "rope_theta": 300},
    },
    "longrope without its trained length": {**GONE, "rope_theta": 1e6, "rope_scaling": LONG},
    "llama3 without its trained length": {**GONE, "rope_theta": 1000000, "rope_scaling": BANDED},
    "both releases": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, "rope_theta": 1e6},
    "both releases, one theta": {"rope_parameters": {"rope_type": "default"}, "rope_theta": 1e6},
    "null head_dim": {"head_dim": None},
    "a whole dropout": {"attention_dropout": 0},
}


@pytest.mark.parametrize("name", ODD)
def test_an_unusual_configuration_is_read_as_the_reference_reads_it(name: str, tmp_path: Path) -> None:
    """The folder of a small model with some keys of its config.json replaced or gone."""
    usual = case(1, release=5)
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    pair = Pair(replace(usual, config={**usual.config, **sizes, "max_position_embeddings": 256}), tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text()) | ODD[name]
    path.write_text(json.dumps({key: value for key, value in config.items() if value != "gone"}))

    with torch.no_grad():
        distance = relative(pair.ours(pair.ids).logits, pair.expected)

    prove.at_most("unusual configurations, over the tolerance", distance / pair.tolerance, 1)
