"""Checkpoints that transformers writes are read, compute the same, and are written back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import MixtralConfig, MixtralForCausalLM, MixtralForSequenceClassification

import composer
from composer import ComposerError

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_local_experts": 4,
    "initializer_range": 0.08,  # four times the usual
}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "eight-experts-of-which-three": {"num_local_experts": 8, "num_experts_per_tok": 3},
    "one-expert-a-token": {"num_experts_per_tok": 1},
    "every-expert": {"num_local_experts": 3, "num_experts_per_tok": 3},
    "window": {"sliding_window": 5},
    "tied": {"tie_word_embeddings": True},
    "wide-heads": {"head_dim": 20, "num_key_value_heads": 4},
    "one-key-head": {"num_key_value_heads": 1, "hidden_act": "gelu"},
    "eps": {"rms_norm_eps": 1e-3},
    "theta": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
    "yarn": {"rope_parameters": YARN, "max_position_embeddings": 64, "head_dim": 8},
    "deep": {"num_hidden_layers": 4, "sliding_window": 3, "num_local_experts": 5},
}


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max())


def written(folder: Path, **options: Any) -> MixtralForCausalLM:
    """A tiny model that transformers has drawn and saved."""
    torch.manual_seed(0)
    config = MixtralConfig(**{**SIZES, **options})
    model = MixtralForCausalLM._from_config(config, attn_implementation="eager").eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", CASES)
def test_logits(name: str, tmp_path: Path) -> None:
    """At once and token by token, within the distance between the reference's own ways."""
    theirs, ids = written(tmp_path, **CASES[name]), torch.randint(3, 97, (2, 19))
    ours = composer.load(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        expected = theirs(ids, use_cache=False).logits
        other = MixtralForCausalLM.from_pretrained(tmp_path, attn_implementation="sdpa", dtype=torch.float32)
        tolerance = max(1e-5, 3 * relative(other(ids, use_cache=False).logits, expected))
        cache = ours.new_cache(2)
        steps = torch.cat([ours(part, past_key_values=cache).logits for part in ids.split(1, 1)], 1)
        assert relative(ours(ids).logits, expected) <= tolerance
        assert relative(steps, expected) <= tolerance


@pytest.mark.parametrize("name", CASES)
def test_it_is_written_back(name: str, tmp_path: Path) -> None:
    """The same tensors to the last bit, a configuration that means the same, and transformers takes both."""
    theirs = written(tmp_path / "theirs", **CASES[name])
    composer.save(composer.load(tmp_path / "theirs", dtype=torch.float32), tmp_path / "ours", layout="hf")
    expected, found = (load_file(tmp_path / who / "model.safetensors") for who in ("theirs", "ours"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    again, said = MixtralForCausalLM.from_pretrained(
        tmp_path / "ours", attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    assert not any(said[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.randint(97, (1, 9))
    with torch.no_grad():
        assert torch.equal(again(ids).logits, theirs(ids).logits)


def test_another_head(tmp_path: Path) -> None:
    """A head that scores labels, read and written."""
    config = MixtralConfig(**SIZES, num_labels=3, pad_token_id=0)
    theirs = MixtralForSequenceClassification._from_config(config, attn_implementation="eager").eval()
    theirs.save_pretrained(tmp_path)
    ours, ids = (
        composer.load(tmp_path, dtype=torch.float32, head="sequence-classification"),
        torch.randint(3, 97, (2, 7)),
    )
    with torch.no_grad():
        assert relative(ours(ids).logits, theirs(ids).logits) <= 1e-5


def test_generation(tmp_path: Path) -> None:
    """Greedy tokens are those of the reference."""
    theirs, ids = written(tmp_path), torch.randint(3, 97, (2, 7))
    ours = composer.load(tmp_path, dtype=torch.float32)
    options: dict[str, Any] = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": None}
    expected = theirs.generate(ids, use_cache=False, pad_token_id=0, **options)
    assert torch.equal(ours.generate(ids, **options), expected)


def test_configurations_of_older_libraries(tmp_path: Path) -> None:
    """Without rope_parameters the base is that of rope_theta, or a million."""
    for said, theta in ((3e4, 3e4), (None, 1e6)):
        written(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        del config["rope_parameters"]
        config |= {} if said is None else {"rope_theta": said}
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert composer.load(tmp_path).plan.layers[0].host.mixers[0].block.rope.theta == theta


@pytest.mark.parametrize(("key", "value"), [("output_router_logits", True), ("router_jitter_noise", 0.1)])
def test_what_only_training_knows_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    """A loss and a noise that this block has not are no detail: the error names the key."""
    written(tmp_path, **{key: value})
    with pytest.raises(ComposerError, match=key):
        composer.load(tmp_path)
