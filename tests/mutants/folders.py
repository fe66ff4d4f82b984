"""Mutants of checkpoint folders: configurations, the index, headers; each is loaded, and generates two tokens."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save

import composer
from composer.layout.importing import import_config, read_config

from . import headers, mutate, plausible
from .specs import call, counted, odd_files

LAYERS, WIDTH, HEADS, HEAD, INNER, VOCAB = 2, 8, 2, 4, 12, 11
NEW: dict[str, Any] = {
    "architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1, "dtype": "float32",
    "eos_token_id": 2, "head_dim": HEAD, "hidden_act": "silu", "hidden_size": WIDTH, "initializer_range": 0.02,
    "intermediate_size": INNER, "max_position_embeddings": 64, "model_type": "mistral", "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS, "num_key_value_heads": 1, "pad_token_id": None, "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_theta": 1e4, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    "sliding_window": 5, "tie_word_embeddings": False, "transformers_version": "5.23.0", "use_cache": True,
    "vocab_size": VOCAB,
}  # fmt: skip
OLD = {
    key: value
    for key, value in NEW.items()
    if key not in ("dtype", "head_dim", "rope_parameters", "pad_token_id")
}
OLD |= {
    "torch_dtype": "bfloat16", "rope_theta": 1e4, "sliding_window": None, "transformers_version": "4.34.0",
    "rope_scaling": {"type": "linear", "factor": 2.0}, "quantization_config": None, "_name_or_path": "somewhere",
}  # fmt: skip
GENERATION: dict[str, Any] = {
    "_from_model_config": True, "bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": 0, "do_sample": True,
    "temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.1, "max_length": 40,
    "min_length": 2, "max_new_tokens": 4, "num_beams": 1, "transformers_version": "5.23.0",
}  # fmt: skip
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
# Values in the right form, most of which no tensor of the folder fits.
ROPES = [{**each, "rope_type": each.get("type", "default")} for each in plausible.OPTIONS["rope"] if each]
VALUES: dict[str, list[Any]] = {
    **dict.fromkeys(["vocab_size", "hidden_size", "intermediate_size"], [0, 1, 12, 2**24, 2**24 + 1, 2**62]),
    **dict.fromkeys(["num_attention_heads", "num_key_value_heads", "head_dim"], [0, 1, 2, 3, 4, 2**24, None]),
    **dict.fromkeys(["bos_token_id", "eos_token_id", "pad_token_id"], [None, 0, 10, 11, -1, [], [1, 2], [99], "1"]),
    **dict.fromkeys(["rope_scaling", "rope_parameters"], [None, {}, *ROPES, *ROPES]),
    **dict.fromkeys(["dtype", "torch_dtype"], ["float16", "bfloat16", "float64", "int8", "auto", None, {"a": 1}]),
    "num_hidden_layers": [1, 2, 3, 40, 10_001], "rms_norm_eps": [1e-300, 1e300, 0.0], "hidden_act": ["gelu", "no"],
    "max_position_embeddings": [1, 3, 2**24, None], "sliding_window": [1, 2, 2**24, None, 0],
    "attention_dropout": [0.5, 1.0], "initializer_range": [0.0, 1e300], "tie_word_embeddings": [True, None],
    "rope_theta": [1e-300, 1e300, 1, None], "layer_types": [["full_attention"] * 2], "quantization_config": [{}, None],
    "partial_rotary_factor": [0.5, 1.0, 1e-9], "model_type": ["mistral", "Mistral", "llama"], "is_decoder": [True],
}  # fmt: skip
# What a name out of a file may lead to: other kinds of files, and one that never ends.
ODD_FILES = ("pipe", "folder", "loop", "zero")
ESCAPES = ("../x", "/etc/passwd", "a/../b", "./a", "C:/x", "\\x", "a\0b", "a" * 5000, "con", "a/" * 400)


def weights() -> dict[str, torch.Tensor]:
    """Tensors of the configurations above by their published names."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens": (VOCAB, WIDTH), "model.norm": (WIDTH,)}
    shapes["lm_head"] = (VOCAB, WIDTH)
    for layer in range(LAYERS):
        one: dict[str, tuple[int, ...]] = {"input_layernorm": (WIDTH,), "post_attention_layernorm": (WIDTH,)}
        one |= {"self_attn.q_proj": (HEADS * HEAD, WIDTH), "self_attn.o_proj": (WIDTH, HEADS * HEAD)}
        one |= {f"self_attn.{name}_proj": (HEAD, WIDTH) for name in "kv"}
        one |= {
            "mlp.gate_proj": (INNER, WIDTH),
            "mlp.up_proj": (INNER, WIDTH),
            "mlp.down_proj": (WIDTH, INNER),
        }
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in one.items()}
    generator = torch.Generator().manual_seed(0)
    return {f"{name}.weight": torch.randn(shape, generator=generator) for name, shape in shapes.items()}


class Folder:
    """A sound checkpoint in one folder; the files of each mutant are put back before the next."""

    sharded = False

    def __init__(self, folder: Path) -> None:
        self.folder, self.changed = folder, dict[str, bytes | str | None]()
        folder.mkdir(parents=True, exist_ok=True)
        self.sound = published(self.sharded)
        for name, raw in self.sound.items():
            (folder / name).write_bytes(raw)
        odd_files(folder, ".safetensors")

    def put(self, files: dict[str, bytes | str | None]) -> None:
        """Write files over a sound folder: bytes, where a link leads, or None for a file that is missing."""
        for name, content in {**{name: self.sound.get(name) for name in self.changed}, **files}.items():
            (self.folder / name).unlink(missing_ok=True)
            if isinstance(content, bytes):
                (self.folder / name).write_bytes(content)
            elif content is not None:
                (self.folder / name).symlink_to(content)
        self.changed = files

    def write(self, draw: Random) -> None:
        """One mutant; now and then a file is of another kind altogether."""
        files = self.mutant(draw)
        if draw.random() < 0.02:
            other = [None, b"", "nowhere", "/dev/zero", *(f"{each}.safetensors" for each in ODD_FILES)]
            files[draw.choice(list(self.sound))] = draw.choice(other)
        self.put(files)

    def mutant(self, draw: Random) -> dict[str, bytes | str | None]:
        raise NotImplementedError

    def run(self) -> None:
        """Load the model and let it write two tokens."""
        model = composer.load(self.folder)
        model.generate(torch.tensor([[1, 4]]), max_new_tokens=2)

    def command(self, draw: Random) -> None:
        """What the command line says of the folder."""
        call([*draw.choice([["check"], ["check", "--json"], ["show"]]), str(self.folder)])

    def shown(self) -> str:
        """What a report says of the mutant."""
        return "\n".join(f"{name}: {content!r}" for name, content in self.changed.items())


def published(sharded: bool) -> dict[str, bytes]:
    """The files of a sound folder, with two shards and their index or with one file."""
    found = weights()
    names = list(found)
    parts = {SHARDS[n]: names[n::2] for n in range(2)} if sharded else {SINGLE: names}
    files = {file: save({key: found[key] for key in keys}, {"format": "pt"}) for file, keys in parts.items()}
    if sharded:
        homes = {key: file for file, keys in parts.items() for key in keys}
        total = sum(tensor.nbytes for tensor in found.values())
        files[INDEX] = mutate.as_json({"metadata": {"total_size": total}, "weight_map": homes}, 2)
    generation = mutate.as_json({"eos_token_id": 2})
    return {**files, "config.json": mutate.as_json(NEW, 2), "generation_config.json": generation}


def json_mutant(draw: Random, data: Any) -> bytes:
    """JSON damaged as text or in its structure."""
    if draw.random() < 0.15:
        return mutate.damaged(draw, mutate.as_json(data, draw.choice([None, 2])))
    written = mutate.as_json(mutate.edited(draw, data), draw.choice([None, 2]))
    return mutate.damaged(draw, written, 1) if draw.random() < 0.1 else written


class Configs(Folder):
    """config.json of either release; the plan is made on its own, too, since most are of another shape."""

    def mutant(self, draw: Random) -> dict[str, bytes | str | None]:
        config = draw.choice([NEW, OLD])
        if draw.random() < 0.6:
            return {"config.json": json_mutant(draw, config)}
        keys = draw.sample(list(VALUES), draw.randint(1, 3))
        return {"config.json": mutate.as_json({**config, **{key: draw.choice(VALUES[key]) for key in keys}})}

    def run(self) -> None:
        if (self.folder / "config.json").is_file():
            config = read_config((self.folder / "config.json").read_bytes(), "config.json")
            counted(composer.resolve(import_config(config, "mutant")))
        super().run()


class Generations(Folder):
    """generation_config.json."""

    def mutant(self, draw: Random) -> dict[str, bytes | str | None]:
        return {"generation_config.json": json_mutant(draw, GENERATION)}


class Indexes(Folder):
    """The index of two shards."""

    sharded = True

    def mutant(self, draw: Random) -> dict[str, bytes | str | None]:
        index = json.loads(self.sound[INDEX])
        if draw.random() < 0.3:
            key = draw.choice(list(index["weight_map"]))
            index["weight_map"][key] = draw.choice([f"{each}.safetensors" for each in (*ODD_FILES, *ESCAPES)])
        files: dict[str, bytes | str | None] = {INDEX: json_mutant(draw, index)}
        if draw.random() < 0.1:
            files[SINGLE] = self.sound[SHARDS[0]]
        return files


class Headers(Folder):
    """The length, the JSON and the extent of one file, or of one of two shards."""

    def mutant(self, draw: Random) -> dict[str, bytes | str | None]:
        return {SINGLE: headers.mutant(draw, self.sound[SINGLE])}


class ShardHeaders(Folder):
    """The same of one of two shards."""

    sharded = True

    def mutant(self, draw: Random) -> dict[str, bytes | str | None]:
        shard = draw.choice(SHARDS)
        return {shard: headers.mutant(draw, self.sound[shard])}
