"""Names that checkpoints had before: the family files know them, and what is loaded is the same model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
)

import composer
from composer.errors import WeightsError

from .pickles import saved

State = dict[str, Tensor]
SMALL = {"vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def opt() -> PreTrainedModel:
    """With projections, so that those have their names, too."""
    return OPTForCausalLM(OPTConfig(**SMALL, ffn_dim=24, word_embed_proj_dim=8, max_position_embeddings=32))


def mistral() -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**SMALL, intermediate_size=24, num_key_value_heads=1))


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=31, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=2
        )
    )


def renamed(state: State, *changes: tuple[str, str]) -> State:
    """The tensors with their names changed."""
    for pattern, by in changes:
        state = {re.sub(pattern, by, name): tensor for name, tensor in state.items()}
    return state


def fused(state: State) -> State:
    """Keys, values and queries in one tensor, in this order."""
    found = {name: tensor for name, tensor in state.items() if not re.search(r"\.[kvq]_proj\.", name)}
    for name in [name for name in state if ".q_proj." in name]:
        parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "kvq"]
        found[name.replace(".q_proj.", ".qkv_proj.")] = torch.cat(parts)
    return found


def authors(state: State) -> State:
    """An OPT as its authors published it, with what the conversion leaves out."""
    changes = (r"^model\.", ""), (r"^decoder\.final_layer_norm", "decoder.layer_norm")
    found = renamed(state, *changes, (r"project_(in|out)\.", r"project_\1_dim."))
    table = state["model.decoder.embed_tokens.weight"]
    return found | {"decoder.version": torch.tensor([3.0]), "decoder.output_projection.weight": table}


def with_masks(state: State, prefix: str = "transformer.") -> State:
    """A GPT-2 with the buffers that were stored."""
    found = renamed(state, (r"^transformer\.", prefix))
    for layer in range(2):
        found[f"{prefix}h.{layer}.attn.bias"] = torch.ones(1, 1, 32, 32).tril().byte()
        found[f"{prefix}h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return found


def with_frequencies(state: State) -> State:
    """A model with the rotary buffers that were stored."""
    names = (f"model.layers.{layer}.self_attn.rotary_emb.inv_freq" for layer in range(2))
    return state | {name: torch.ones(4) for name in names}


BEFORE: dict[str, tuple[Callable[[], PreTrainedModel], Callable[[State], State]]] = {
    "as today": (opt, lambda s: s),
    "without the head's prefix": (opt, lambda s: renamed(s, (r"^model\.", ""))),
    "the authors' names": (opt, authors),
    "the authors' fused names": (opt, lambda s: fused(authors(s))),
    "with the tied head": (opt, lambda s: {**s, "lm_head.weight": s["model.decoder.embed_tokens.weight"]}),
    "with rotary buffers": (mistral, with_frequencies),
    "with masks": (gpt2, with_masks),
    "masks and no prefix": (gpt2, lambda s: with_masks(s, "")),
}


@pytest.mark.parametrize("how", BEFORE)
@pytest.mark.parametrize("archive", [True, False])
def test_the_same_model_by_its_old_names(how: str, archive: bool, tmp_path: Path) -> None:
    """Pickled as it was then, in either form of torch.save, the logits are those of transformers."""
    torch.manual_seed(0)
    make, change = BEFORE[how]
    theirs = make().eval()
    state = theirs.state_dict()
    if theirs.config.tie_word_embeddings:
        del state["lm_head.weight"]
    theirs.config.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(saved(change(state), archive))
    ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])

    with torch.no_grad():
        assert torch.allclose(
            theirs(ids).logits, composer.load(tmp_path, dtype=torch.float32)(ids).logits, atol=1e-5
        )


def test_a_name_that_nobody_had(tmp_path: Path) -> None:
    """What no file knows is refused, however much it looks like a leftover."""
    theirs = opt()
    theirs.config.save_pretrained(tmp_path)
    state = {**theirs.state_dict(), "model.decoder.versions": torch.ones(1)}
    (tmp_path / "pytorch_model.bin").write_bytes(saved(state))
    with pytest.raises(WeightsError, match=r"no parameter for this tensor: model\.decoder\.versions"):
        composer.load(tmp_path)
