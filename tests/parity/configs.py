"""Random configurations of the reference model, and the folders that releases 4 and 5 would have written."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import MistralConfig, MistralForCausalLM

HEADS = [
    (1, 1),
    (2, 1),
    (2, 2),
    (3, 1),
    (3, 3),
    (4, 1),
    (4, 2),
    (4, 4),
    (5, 5),
    (6, 2),
    (6, 3),
    (8, 1),
    (8, 2),
    (9, 3),
]
ACTIVATIONS = ["silu"] * 6 + [
    "gelu",
    "gelu_new",
    "gelu_pytorch_tanh",
    "gelu_fast",
    "relu",
    "relu2",
    "quick_gelu",
]
ACTIVATIONS += ["mish", "tanh", "swish", "sigmoid", "laplace", "hardswish", "leaky_relu"]
ROPES = ["default"] * 4 + ["linear", "dynamic", "yarn", "longrope", "llama3", "proportional"]
NEW_TOKENS = 64


@dataclass(frozen=True)
class Case:
    """One configuration, the length of its prompts, and the release whose files it imitates."""

    number: int
    release: int
    prompt: int
    config: dict[str, Any]

    def __str__(self) -> str:
        rope = self.config["rope_parameters"]["rope_type"]
        heads = f"{self.config['num_attention_heads']}-{self.config['num_key_value_heads']}"
        return (
            f"{self.number}-release{self.release}-{rope}-heads{heads}-window{self.config['sliding_window']}"
        )


def sampled(count: int, release: int) -> list[Case]:
    """The first `count` of an endless, seeded list of cases."""
    return [case(number, release) for number in range(count)]


def case(number: int, release: int) -> Case:
    """Case `number`; both releases describe the same models."""
    draw = random.Random(f"parity {number}")
    prompt = draw.randint(9, 70)
    heads, groups = draw.choice(HEADS)
    head_dim = draw.choice([4, 6, 8, 10, 16, 24, 32, 64])
    free = draw.random() < 0.5
    most = draw.choice([256, 300, 4096, 131072])
    config: dict[str, Any] = {
        "vocab_size": draw.choice([33, 97, 128, 251, 500, 1001]),
        "hidden_size": draw.choice([16, 20, 36, 40, 64, 96]) if free else heads * head_dim,
        "head_dim": head_dim if free or draw.random() < 0.5 else None,
        "intermediate_size": draw.choice([8, 31, 48, 100, 128]),
        "num_hidden_layers": draw.randint(1, 4),
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "hidden_act": draw.choice(ACTIVATIONS),
        "max_position_embeddings": most,
        "initializer_range": draw.choice([0.02, 0.01, 0.05]),
        "rms_norm_eps": draw.choice([1e-5, 1e-6, 1e-4]),
        "tie_word_embeddings": draw.random() < 0.3,
        "sliding_window": draw.choice([1, 2, 3, 5, 8, 16, prompt - 1, prompt, prompt + 1, 4096, None, None]),
        "attention_dropout": draw.choice([0.0, 0.0, 0.1]),
        "eos_token_id": draw.choice([2, 2, [2, 7], None]),
    }
    config["rope_parameters"] = rope(draw, head_dim, most, prompt)
    return Case(number, release, prompt, config)


def rope(draw: random.Random, head_dim: int, most: int, prompt: int) -> dict[str, Any]:
    """Options of a random rope type, in one regime of lengths from the prompt to its last new token."""
    kind = draw.choice(ROPES)
    options: dict[str, Any] = {"rope_type": kind, "rope_theta": draw.choice([10000.0, 1e6, 500.0, 1e8])}
    if kind in ("linear", "dynamic", "yarn", "llama3"):
        options["factor"] = draw.choice([2.0, 2.3, 8.0])
    if kind == "yarn":
        options["original_max_position_embeddings"] = draw.choice([16, 64, most])
        options |= draw.choice([{}, {"beta_fast": 8.0, "beta_slow": 2.0}, {"attention_factor": 1.2}])
        options |= draw.choice([{}, {"truncate": False}, {"mscale": 0.7, "mscale_all_dim": 1.1}])
    if kind == "longrope":
        options["original_max_position_embeddings"] = draw.choice([4, prompt - 1, prompt + NEW_TOKENS])
        options |= draw.choice([{}, {"factor": 4.0}, {"attention_factor": 1.19}])
        for name in ("short_factor", "long_factor"):
            options[name] = [round(draw.uniform(1, 8), 3) for _ in range(head_dim // 2)]
    if kind == "llama3":
        options["original_max_position_embeddings"] = draw.choice([16, 64, most])
        options |= {"low_freq_factor": 1.0, "high_freq_factor": draw.choice([2.0, 4.0])}
    if kind == "proportional":
        options["partial_rotary_factor"] = draw.choice([0.5, 1.0])
    return options


def write(case: Case, folder: Path) -> None:
    """Save the case's model as its release would have, with weights four times larger than the default."""
    config = MistralConfig(**case.config, bos_token_id=1)
    model = MistralForCausalLM(config)
    generator = torch.Generator().manual_seed(case.number)
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.dim() == 1:
                tensor.uniform_(0.5, 1.5, generator=generator)
            else:
                tensor.normal_(0, 0.08, generator=generator)
    model.save_pretrained(folder)
    if case.release == 4:
        path = folder / "config.json"
        path.write_text(json.dumps(as_release_4(case, json.loads(path.read_text()))))


def as_release_4(case: Case, config: dict[str, Any]) -> dict[str, Any]:
    """The same configuration in the keys of release 4; whatever equals its default may be absent."""
    draw = random.Random(f"release 4 {case.number}")
    old = {key: value for key, value in config.items() if key not in ("dtype", "rope_parameters")}
    old |= {"torch_dtype": config["dtype"], "transformers_version": "4.36.0"}
    options = dict(config["rope_parameters"])
    old["rope_theta"] = options.pop("rope_theta")
    kind = options.pop("rope_type")
    if options.get("original_max_position_embeddings") == config["max_position_embeddings"]:
        del options["original_max_position_embeddings"]
    if kind != "default":
        old["rope_scaling"] = {
            **dict.fromkeys(draw.choice([["type"], ["rope_type"], ["type", "rope_type"]]), kind),
            **options,
        }
    elif draw.random() < 0.5:
        old["rope_scaling"] = None
    for key, default in DEFAULTS.items():
        if key in old and old[key] == default and draw.random() < 0.7:
            del old[key]
    if old.get("head_dim") == old["hidden_size"] // old["num_attention_heads"] and draw.random() < 0.7:
        del old["head_dim"]
    return old


DEFAULTS = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "attention_dropout": 0.0,
    "num_key_value_heads": 8,
    "initializer_range": 0.02,
    "sliding_window": 4096,
    "max_position_embeddings": 131072,
    "eos_token_id": 2,
    "use_cache": True,
}
