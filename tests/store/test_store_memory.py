"""Memory while a checkpoint is loaded: the parameters once, whatever has to be cast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import composer

from .. import prove

SPEC = """
composer: 1
name: wide
vocab_size: 16384
hidden_size: 512
norm: {kind: rms, eps: 1.0e-5}
layer: [{norm: rms, mix: mixer}, {norm: rms, mix: mlp}]
pattern: full
layers: 6
blocks:
  full: {kind: attention, num_attention_heads: 4}
  mlp: {kind: mlp, intermediate_size: 2048, hidden_act: silu, gated: true}
"""

# The same sizes in a layout whose files hold turned matrices, three of them in one tensor.
TURNED = [
    "vocab_size=16384", "hidden_size=512", "layers=6", "blocks.full.num_attention_heads=4", "blocks.full.head_dim=128",
    "blocks.full.num_key_value_heads=4", "blocks.mlp.intermediate_size=2048", "generation.bos_token_id=0",
    "generation.eos_token_id=0",
]  # fmt: skip

CASES = [("bfloat16", "bfloat16"), ("float32", "bfloat16"), ("bfloat16", "float32"), ("float32", "float16")]

# Loads the folder in the dtype, runs one token, and prints what the process had at most beyond its start, in bytes:
# memory of its own, and all that was resident.
WATCH = """
import json, re, sys, threading, time
import torch, composer

def resident():
    text = open("/proc/self/status").read()
    return [1024 * int(re.search(name + r":\\s+(\\d+)", text)[1]) for name in ("RssAnon", "VmRSS")]

def use(folder, dtype):
    model = composer.load(folder, dtype=getattr(torch, dtype))
    with torch.no_grad():
        model(torch.zeros(1, 4, dtype=torch.int64))
    return model

use(sys.argv[2], sys.argv[3])
base, peaks, done = resident(), [], threading.Event()
def watch():
    while not done.is_set():
        peaks.append(resident())
        time.sleep(0.0005)
watcher = threading.Thread(target=watch)
watcher.start()
model = use(sys.argv[1], sys.argv[3])
done.set()
watcher.join()
print(json.dumps([max(peak[i] for peak in peaks) - base[i] for i in (0, 1)]))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 42 million parameters in two precisions, and a small one to warm up with."""
    place = tmp_path_factory.mktemp("memory")
    plan = composer.resolve(composer.read_spec(SPEC))
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        composer.save(composer.build(plan, dtype=dtype, seed=0), place / name, layout="composer")
    turned = composer.resolve(composer.read_spec("gpt2", set=TURNED))
    composer.save(composer.build(turned, seed=0), place / "turned")
    small = composer.resolve(composer.read_spec(SPEC, set=["layers=1", "vocab_size=64"]))
    composer.save(composer.build(small, seed=0), place / "small", layout="composer")
    return place


def most(folders: Path, stored: str, wanted: str) -> tuple[int, int]:
    """The most memory of its own, and of all, that loading a folder in a dtype takes."""
    command = [sys.executable, "-c", WATCH, str(folders / stored), str(folders / "small"), wanted]
    own, everything = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return own, everything


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the figures of the Linux kernel")
@pytest.mark.parametrize(("stored", "wanted"), CASES if prove.FULL else CASES[:2])
def test_memory_rule(stored: str, wanted: str, folders: Path) -> None:
    """Own memory: 1.05 times the parameters and the largest tensor; all of it: 1.25 times the parameters."""
    own, everything = most(folders, stored, wanted)
    size = torch.finfo(getattr(torch, wanted)).bits // 8
    spec = composer.read_spec(folders / stored / "composer.yaml")
    final, largest = composer.resolve(spec).parameter_count * size, 16384 * 512 * size

    assert own <= 1.05 * final + largest
    assert everything <= 1.25 * final
    assert own <= 0.05 * final or stored != wanted


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the figures of the Linux kernel")
@pytest.mark.parametrize("wanted", ["float32", "bfloat16"] if prove.FULL else ["float32"])
def test_memory_rule_of_turned_matrices(wanted: str, folders: Path) -> None:
    """What has to be copied is copied once, tensor by tensor; what was read for it goes back."""
    own, everything = most(folders, "turned", wanted)
    size = torch.finfo(getattr(torch, wanted)).bits // 8
    plan = composer.resolve(composer.read_spec("gpt2", set=TURNED))
    final, largest = plan.parameter_count * size, 16384 * 512 * size

    assert own <= 1.05 * final + largest
    assert everything <= 1.25 * final
