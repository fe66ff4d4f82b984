"""Shared blocks in the files of their authors: in, out, and into the layout that transformers reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import composer
from composer.errors import WeightsError
from composer.layout.view import view

from .. import prove
from ..published import model as made
from .zyphra import FIRST, usual, write

LAYOUT = "zyphra"
TWO: dict[str, Any] = {
    "layers_block_type": ["linear_attention", "hybrid", "hybrid", "hybrid", "linear_attention", "hybrid"],
    "num_hidden_layers": 6, "num_mem_blocks": 2, "use_shared_attention_adapter": True, "num_attention_heads": 2,
    "num_key_value_heads": 2, "use_mem_rope": True, "mamba_ngroups": 1,
}  # fmt: skip


def rewrite(folder: Path, found: dict[str, torch.Tensor]) -> None:
    """Other weights beside the configuration."""
    save_file(found, folder / "model.safetensors")


@pytest.mark.parametrize("seed", range(prove.cases(8, 200)))
def test_both_layouts_are_one_model(seed: int, tmp_path: Path) -> None:
    """The authors' folder and that of transformers make the same plan with the same numbers, and written back too."""
    config = usual(seed)
    found = write(tmp_path / "authors", config, seed)
    made(config, seed).save_pretrained(tmp_path / "usual")
    one, other = composer.load(tmp_path / "authors"), composer.load(tmp_path / "usual")
    composer.save(other, tmp_path / "back", layout=LAYOUT)
    again = load_file(tmp_path / "back" / "model.safetensors")

    assert view(one.plan) == view(other.plan) == view(composer.load(tmp_path / "back").plan)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert {*found} == {*again}
    assert all(torch.equal(tensor, again[name]) for name, tensor in found.items())


def test_transformers_reads_what_was_exported(tmp_path: Path) -> None:
    """Two blocks in turns, with adapters everywhere: nothing is missing, nothing is left, equal logits."""
    config, ids = usual(1, **TWO), torch.arange(20)[None] % 31
    write(tmp_path / "authors", config, 1)
    model = composer.load(tmp_path / "authors")
    composer.save(model, tmp_path / "usual")
    auto: Any = AutoModelForCausalLM
    theirs, info = auto.from_pretrained(tmp_path / "usual", output_loading_info=True)

    assert not any(info.values())
    with torch.no_grad():
        assert torch.allclose(made(config, 1)(ids).logits, model(ids).logits, atol=1e-4)
        assert torch.allclose(theirs(ids).logits, model(ids).logits, atol=1e-4)


def test_the_files_of_the_first_months(tmp_path: Path) -> None:
    """A map in a list of one, a head that repeats the token table, no number of blocks: two, as then."""
    found = write(tmp_path / "new", usual(2, **TWO), 2)
    silent: dict[str, Any] = {"num_mem_blocks": ..., "mamba_ngroups": ...}
    write(tmp_path / "old", usual(2, **TWO), 2, use_low_rank_mamba_proj=False, **silent)
    older = {name.replace("in_proj", FIRST): tensor for name, tensor in found.items()}
    older["lm_head.weight"] = found["model.embed_tokens.weight"].clone()
    rewrite(tmp_path / "old", older)
    new, old = composer.load(tmp_path / "new"), composer.load(tmp_path / "old")

    assert view(new.plan) == view(old.plan)
    assert all(torch.equal(a, b) for a, b in zip(new.parameters(), old.parameters(), strict=True))
    rewrite(tmp_path / "old", {**older, "lm_head.weight": older["lm_head.weight"] + 1})
    with pytest.raises(WeightsError, match="lm_head.weight") as caught:
        composer.load(tmp_path / "old")
    assert "E515" == caught.value.code


def test_a_block_that_is_not_there(tmp_path: Path) -> None:
    """One block in the file where two are said, or are meant by silence, is no model with one."""
    write(tmp_path / "one", usual(2, **{**TWO, "num_mem_blocks": 1}), 2, num_mem_blocks=...)
    with pytest.raises(WeightsError, match=r"model\.blocks\.1\.") as caught:
        composer.load(tmp_path / "one")

    assert "E511" == caught.value.code


def test_long_context_is_a_larger_theta(tmp_path: Path) -> None:
    """The authors' key stretches rotary positions; the model is then written with the theta that it has."""
    write(tmp_path / "long", usual(3, **TWO), 3, use_long_context=True, rope_theta=10000)
    model = composer.load(tmp_path / "long")
    composer.save(model, tmp_path / "usual")
    block: Any = model.plan.layers[1].guests["shared-attn"].branches[0].mixers[0].block
    written = json.loads((tmp_path / "usual" / "config.json").read_text())

    assert (16, 16384) == (block.head_dim, model.plan.spec.max_position_embeddings)
    assert 10000 * 8 ** (16 / 14) == block.rope.theta == written["rope_parameters"]["rope_theta"]


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"ffn_hidden_size": 65}, "E535", "ffn_hidden_size must be four times hidden_size"),
        ({"layers_block_type": ["m", "g", "x", "m", "m", "g"]}, "E535", "may hold m and g only"),
        ({"num_hidden_layers": 5}, "E535", "one entry for each"),
        ({"num_key_value_heads": 1}, "E535", "adapters of the attention"),
        ({"mamba_headdim": 3}, "E535", "a multiple of mamba_headdim"),
        ({"ft_lora": True}, "E533", "ft_lora is true; only false is known"),
        ({"use_low_rank_mamba_proj": True}, "E533", "use_low_rank_mamba_proj"),
        ({"mamba_d_state": 8}, "E533", "'mamba_d_state' is not known"),
    ],
)
def test_what_cannot_be_read(changes: dict[str, Any], code: str, says: str, tmp_path: Path) -> None:
    """A feature that is not there is named."""
    write(tmp_path / "one", usual(4, **TWO), 4, **changes)
    with pytest.raises(WeightsError, match=says) as caught:
        composer.load(tmp_path / "one")

    assert code == caught.value.code


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("blocks.mlp.hidden_act=silu", r"hidden_act: .*it is 'silu'"),
        ("blocks.mlp.intermediate_size=60", "intermediate_size: .*it is 60"),
        ("blocks.mamba.dt_min=0.001", "dt_min: .*it is 0.001"),
        ("blocks.attn.rope.type=linear", "rope"),
    ],
)
def test_what_the_layout_cannot_say(change: str, field: str, tmp_path: Path) -> None:
    """A model is not written in a layout that would make another one of it."""
    more = ["blocks.attn.rope.factor=2.0"] if "linear" in change else []
    spec = composer.read_spec("zamba2-1.2b", set=[change, *more])
    model = composer.build(composer.resolve(spec), device="meta")
    with pytest.raises(WeightsError, match=field) as caught:
        composer.save(model, tmp_path / "two", layout=LAYOUT)

    assert ("E536", False) == (caught.value.code, (tmp_path / "two").exists())


def test_a_spec_beside_the_files(tmp_path: Path) -> None:
    """The names are those of the files, whoever gives the architecture; our own names are known as ours."""
    write(tmp_path / "one", usual(5, **TWO), 5)
    model = composer.load(tmp_path / "one")
    again = composer.load(tmp_path / "one", spec=model.plan.spec)
    composer.save(model, tmp_path / "own", layout="composer")
    (tmp_path / "own" / "config.json").write_bytes((tmp_path / "one" / "config.json").read_bytes())

    for other in (again, composer.load(tmp_path / "own")):
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
