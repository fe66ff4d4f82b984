"""A stand-in for a model, with transformers' Mistral inside, and small tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, MistralConfig, MistralForCausalLM

import composer
from composer.text import Tokenizer, load_tokenizer

VOCAB = 61
TEXT = (
    "the cat sat on the mat\nthe dog ate the log\ndéjà vu: naïve façade — 你好 世界 🙂\nstop stopper topped\n"
    * 4
)


class Memory:
    """A cache that knows the padding of its prompt, as ours does."""

    def __init__(self, max_length: int | None) -> None:
        self.max_length = max_length
        self.seen = DynamicCache()
        self.mask: Tensor | None = None


class Double:
    """`Double(oracle)` generates like a model of ours; `widths` holds the number of columns of every call."""

    def __init__(self, oracle: MistralForCausalLM, **generation: Any) -> None:
        config = oracle.config
        self.oracle = oracle
        self.widths: list[int] = []
        self.caches: list[Memory] = []
        sizes = {name: getattr(config, name) for name in ("vocab_size", "max_position_embeddings")}
        self.generation: dict[str, Any] | None = None
        self.plan = SimpleNamespace(
            sizes=SimpleNamespace(**sizes),
            head=SimpleNamespace(kind="causal-lm"),
            spec=SimpleNamespace(generation=generation),
        )

    def parameters(self) -> Any:
        return self.oracle.parameters()

    def new_cache(self, batch_size: int, max_length: int | None = None) -> Memory:
        self.caches.append(Memory(max_length))
        return self.caches[-1]

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        past_key_values: Memory | None = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
    ) -> Any:
        self.widths.append(input_ids.shape[1])
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if past_key_values is not None:
            before = past_key_values.mask
            mask = past_key_values.mask = mask if before is None else torch.cat([before, mask], dim=1)
        return self.oracle(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, -input_ids.shape[1] :],
            past_key_values=None if past_key_values is None else past_key_values.seen,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
        )


@pytest.fixture(scope="session")
def oracle() -> Callable[..., MistralForCausalLM]:
    """Makes a small Mistral of transformers, weights drawn wide enough that tokens vary."""

    def make(seed: int = 0, **changes: Any) -> MistralForCausalLM:
        torch.manual_seed(seed)
        sizes: dict[str, Any] = {
            "vocab_size": VOCAB,
            "hidden_size": 32,
            "intermediate_size": 48,
            "head_dim": 8,
        }
        sizes |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        sizes |= {"max_position_embeddings": 64, "sliding_window": None, "initializer_range": 0.1}
        sizes |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
        return MistralForCausalLM(MistralConfig(**{**sizes, **changes})).eval()

    return make


@pytest.fixture(scope="session")
def theirs(oracle: Callable[..., MistralForCausalLM]) -> MistralForCausalLM:
    return oracle()


SPEC = """
composer: 1
name: twin
vocab_size: {vocab_size}
hidden_size: {hidden_size}
max_position_embeddings: {max_position_embeddings}
norm: {{kind: rms, eps: {rms_norm_eps!r}}}
layer: [{{norm: rms, mix: mixer}}, {{norm: rms, mix: mlp}}]
pattern: attn
layers: {num_hidden_layers}
blocks:
  attn:
    kind: attention
    num_attention_heads: {num_attention_heads}
    num_key_value_heads: {num_key_value_heads}
    head_dim: {head_dim}
    sliding_window: {window}
    rope: {{theta: 10000.0}}
  mlp: {{kind: mlp, intermediate_size: {intermediate_size}, hidden_act: silu, gated: true}}
head: {{tied: false}}
"""
OURS = {
    "model.embed_tokens": "embed",
    "model.layers": "layers",
    "model.norm": "norm",
    "lm_head": "head",
    "input_layernorm": "norms.mixer",
    "post_attention_layernorm": "norms.mlp",
    "self_attn.o_proj": "mixer.out.o",
    "mlp.down_proj": "mlp.down.down",
    **{f"self_attn.{part}_proj": f"mixer.qkv.{part}" for part in "qkv"},
    **{f"mlp.{part}_proj": f"mlp.gate_up.{part}" for part in ("gate", "up")},
}


@pytest.fixture(scope="session")
def twin() -> Callable[[MistralForCausalLM], Any]:
    """Our model with the weights of one of transformers'."""

    def make(theirs: MistralForCausalLM) -> Any:
        window = "null" if theirs.config.sliding_window is None else theirs.config.sliding_window
        spec = composer.read_spec(SPEC.format(window=window, **theirs.config.to_dict()))
        model = composer.build(composer.resolve(spec))
        state = {}
        for name, tensor in theirs.state_dict().items():
            for old, new in OURS.items():
                name = name.replace(old, new)
            state[name] = tensor
        model.load_state_dict(state)
        return model

    return make


@pytest.fixture(scope="session")
def ours(theirs: MistralForCausalLM, twin: Callable[..., Any]) -> Any:
    """Our model with the same weights."""
    return twin(theirs)


@pytest.fixture
def watched(theirs: MistralForCausalLM) -> Double:
    """The same weights behind our contract, every call of the model on record."""
    return Double(theirs)


@pytest.fixture(scope="session")
def double() -> type[Double]:
    return Double


def trained(folder: Path, *, byte_level: bool) -> Path:
    """A tokenizer.json of a few dozen tokens: byte-level, or SentencePiece's way with byte fallback."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    specials = ["<unk>", "<s>", "</s>"]
    if byte_level:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
        replace, strip = decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)
        tokenizer.decoder = decoders.Sequence([replace, decoders.ByteFallback(), decoders.Fuse(), strip])
        specials += [f"<0x{byte:02X}>" for byte in range(256)]
        alphabet = []
    lines = TEXT.split("\n") if not byte_level else [TEXT]
    ascii_lines = ["".join(c for c in line if ord(c) < 128) for line in lines]
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(lines if byte_level else ascii_lines, trainer)
    if not byte_level:  # the byte tokens are ordinary ones
        import json

        data = json.loads(tokenizer.to_str())
        data["added_tokens"] = data["added_tokens"][:3]
        tokenizer = Tokenizer.from_str(json.dumps(data))
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {
        "byte-level": trained(root / "byte-level", byte_level=True),
        "byte-fallback": trained(root / "byte-fallback", byte_level=False),
    }


@pytest.fixture(scope="session", params=["byte-level", "byte-fallback"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> Tokenizer:
    return load_tokenizer(folder)
