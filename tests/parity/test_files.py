"""What we read uses every tensor, what we save the reference loads, and what we draw has its moments."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, MistralForCausalLM

import composer

from .. import prove
from .oracle import Pair


def test_every_tensor_of_the_file_is_used_and_none_is_missing(pair: Pair) -> None:
    """Name by name the values of the file, in the order and number that the plan counts."""
    theirs = rename(load_file(pair.folder / "model.safetensors"))
    ours = {name: tensor.detach() for name, tensor in pair.ours.named_parameters()}

    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert list(ours) == list(pair.ours.plan.parameters())
    assert pair.ours.plan.parameter_count == sum(tensor.numel() for tensor in theirs.values())
    prove.counted("folders read, tensors missing or unused")


def test_the_reference_loads_what_we_save(pair: Pair, tmp_path: Path) -> None:
    """Nothing missing, unexpected or mismatched; every tensor bit for bit; the same configuration."""
    composer.save(pair.ours, tmp_path / "saved", layout="hf")

    again, info = AutoModelForCausalLM.from_pretrained(
        tmp_path / "saved", dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )

    assert {key: value for key, value in info.items() if value} == {}
    assert isinstance(again, MistralForCausalLM)
    kept = [key for key in pair.case.config if key != "rope_parameters"]
    assert {k: getattr(again.config, k) for k in kept} == {k: getattr(pair.eager.config, k) for k in kept}
    before, after = pair.eager.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    with torch.no_grad():
        assert torch.equal(again(pair.ids, use_cache=False).logits, pair.expected)
    prove.counted("folders saved, tensors not loaded by the reference")


def test_fresh_tensors_have_the_references_moments(pair: Pair) -> None:
    """Mean and deviation of every tensor that is drawn, within five standard errors."""
    reference = MistralForCausalLM(pair.eager.config).state_dict()
    fresh = composer.build(pair.ours.plan, dtype=torch.float32, seed=pair.case.number)
    theirs = {(key, tuple(t.shape)): t for key, t in rename(reference).items()}

    for name, tensor in fresh.named_parameters():
        model = theirs[name, tuple(tensor.shape)].double()
        spread = 0.0 if model.dim() == 1 else float(pair.case.config["initializer_range"])
        mean = 1.0 if model.dim() == 1 else 0.0
        for drawn in (tensor.detach().double(), model):
            sure = 5 * spread / math.sqrt(drawn.numel())
            assert abs(float(drawn.mean()) - mean) <= sure, name
            assert abs(float(drawn.std(correction=0)) - spread) <= sure, name
    prove.counted("fresh models, moments away from the reference's")


def rename(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The reference's tensors under our names."""
    words = {
        "model.": "",
        "embed_tokens": "embed",
        "lm_head": "head",
        "input_layernorm": "norms.mixer",
        "post_attention_layernorm": "norms.mlp",
        "self_attn.o_proj": "mixer.out.o",
        "self_attn.": "mixer.qkv.",
        "mlp.gate_proj": "mlp.gate_up.gate",
        "mlp.up_proj": "mlp.gate_up.up",
        "mlp.down_proj": "mlp.down.down",
        "_proj": "",
    }
    renamed = {}
    for name, tensor in state.items():
        for theirs, ours in words.items():
            name = name.replace(theirs, ours)
        renamed[name] = tensor
    return renamed
