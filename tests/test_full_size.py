"""Once, when proving: a full-size folder of 7.2 billion parameters loads and generates within its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import composer
from composer.layout.family import family_named
from composer.layout.rows import expand_rows

from . import prove

SHARD_BYTES = 2_500_000_000
CHILD = """
import json, os, sys, threading, time
import torch, composer

def memory():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith(("Rss", "VmRSS")))
    return {name: 1024 * int(value.split()[0]) for name, value in fields.items()}

base, peak, running = memory(), {"RssAnon": 0, "VmRSS": 0}, True

def watch():
    while running:
        now = memory()
        for name in peak:
            peak[name] = max(peak[name], now[name])
        time.sleep(0.02)

thread = threading.Thread(target=watch)
thread.start()
start = time.perf_counter()
model = composer.load(sys.argv[1])
loaded = time.perf_counter()
out = model.generate(torch.arange(1, 9)[None], max_new_tokens=16, min_new_tokens=16)
done = time.perf_counter()
running = False
thread.join()
print(json.dumps({"anonymous": peak["RssAnon"] - base["RssAnon"], "total": peak["VmRSS"] - base["VmRSS"],
                  "new": out.shape[1] - 8, "load": loaded - start, "generate": done - loaded}))
"""


def write_folder(folder: Path, name: str) -> int:
    """A folder in the published layout with random bf16 weights; returns the bytes of its parameters."""
    plan = composer.resolve(composer.read_spec(name))
    parameters = plan.parameters()
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    for row in expand_rows(family_named("mistral").weights, parameters):
        held = sum(2 * torch.Size(shape).numel() for shape in shards[-1].values())
        shape = parameters[row.ours].shape
        if held + 2 * torch.Size(shape).numel() > SHARD_BYTES:
            shards.append({})
        shards[-1][row.theirs[0]] = shape
    where = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {n: torch.empty(s, dtype=torch.bfloat16).uniform_(-0.03, 0.03) for n, s in shard.items()}
        save_file(tensors, folder / file, {"format": "pt"})
        where.update(dict.fromkeys(shard, file))
    total = 2 * plan.parameter_count
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = composer.build(plan, device="meta", dtype=torch.bfloat16)
    (folder / "config.json").write_text(json.dumps(published(config)))
    return total


def published(model: composer.nn.Model) -> dict[str, object]:
    """The configuration as the 4.x era wrote it."""
    swa = model.plan.layers[0].host.mixers[0].block.model_dump()
    return {
        "model_type": "mistral",
        "architectures": ["MistralForCausalLM"],
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": len(model.plan.layers),
        "num_attention_heads": swa["num_attention_heads"],
        "num_key_value_heads": swa["num_key_value_heads"],
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


@pytest.mark.skipif(not prove.FULL, reason="writes and reads 14.5 GB: part of `bootstrap.py prove` only")
def test_a_full_size_checkpoint_loads_and_generates_within_its_memory(tmp_path: Path) -> None:
    """Anonymous at most 1.05 of the parameters and the largest tensor; in all at most 1.25 of the parameters."""
    size = write_folder(tmp_path, "mistral-7b-v0.1")
    largest = 2 * 14336 * 4096

    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True
    )
    seen = json.loads(child.stdout)

    assert seen["new"] == 16
    prove.at_most(
        "7B in bf16: anonymous memory over its bound", seen["anonymous"] / (1.05 * size + largest), 1
    )
    prove.at_most("7B in bf16: memory in all, over the parameters", seen["total"] / size, 1.25)
