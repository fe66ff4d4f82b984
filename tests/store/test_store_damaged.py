"""Every damaged, hostile or lying checkpoint is refused with its code, its message names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import composer
from composer.errors import ComposerError

from .conftest import read_index, rewrite, tensors, write_index, write_sharded, write_single

Damage = Callable[[Path], Any]
Q = "model.layers.1.self_attn.q_proj.weight"
UP = "model.layers.0.mlp.up_proj.weight"
ONE = "model-00001-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def damaged(**changes: Any) -> Damage:
    """A folder whose tensors are changed: None drops one, a name moves it, else the new value."""

    def write(folder: Path) -> None:
        found = tensors()
        for name, change in changes.items():
            full = name.replace("__", ".")
            value = found.pop(full, None)
            if isinstance(change, str):
                found[change] = value if value is not None else torch.zeros(1)
            elif change is not None:
                found[full] = change(value)
        write_single(folder, found)

    return write


def header(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """A folder whose header lies."""

    def write(folder: Path) -> None:
        write_single(folder, tensors())
        rewrite(folder / "model.safetensors", change)

    return write


def raw(change: Callable[[bytes], bytes]) -> Damage:
    """A folder whose file has other bytes."""

    def write(folder: Path) -> None:
        file = write_single(folder, tensors()) / "model.safetensors"
        file.write_bytes(change(file.read_bytes()))

    return write


def index(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """A folder whose index lies."""

    def write(folder: Path) -> None:
        write_sharded(folder, tensors())
        found = read_index(folder)
        changed = change(found)
        write_index(folder, changed if isinstance(changed, dict | list) else found)

    return write


def shard(change: Callable[[Path], Any]) -> Damage:
    """A sharded folder with something done to it."""

    def write(folder: Path) -> None:
        change(write_sharded(folder, tensors()))

    return write


def config(**changes: Any) -> Damage:
    """A folder whose config.json says something else."""

    def write(folder: Path) -> None:
        write_single(folder, tensors(), **changes)

    return write


def text(name: str, content: str) -> Damage:
    """A folder in which one of the JSON files says something else."""

    def write(folder: Path) -> None:
        (write_sharded if name == INDEX else write_single)(folder, tensors())
        (folder / name).write_text(content)

    return write


def set_value(tensor: torch.Tensor, value: float) -> torch.Tensor:
    tensor.view(-1)[3] = value
    return tensor


def add_to(folder: Path) -> None:
    extra = folder / "model-00002-of-00002.safetensors"
    found = {**tensors(), "extra": torch.zeros(2)}
    names = list(tensors())
    save_file({name: found[name] for name in [*names[1::2], "extra"]}, extra)


HOMES = "weight_map"
TABLE: dict[str, tuple[str, Damage]] = {
    "a number is NaN": ("E516", damaged(**{Q: lambda t: set_value(t, float("nan"))})),
    "a number is inf": ("E516", damaged(**{Q: lambda t: set_value(t, float("inf"))})),
    "a number is -inf": ("E516", damaged(**{Q: lambda t: set_value(t, float("-inf"))})),
    "int8 weights": ("E514", damaged(**{Q: lambda t: t.to(torch.int8)})),
    "boolean weights": ("E514", damaged(**{Q: lambda t: t > 0})),
    "a tensor is missing": ("E511", damaged(**{Q: None})),
    "a tensor is extra": ("E512", damaged(**{"model.extra": "model.extra"})),
    "a tensor is renamed": ("E511", damaged(**{Q: "model.layers.1.self_attn.query.weight"})),
    "fewer layers": ("E511", config(num_hidden_layers=4)),
    "more layers": ("E512", config(num_hidden_layers=2)),
    "a matrix transposed": ("E513", damaged(**{UP: lambda t: t.T.contiguous()})),
    "another vocabulary": ("E513", config(vocab_size=12)),
    "other heads": ("E513", config(num_key_value_heads=2)),
    "a tied head that differs": ("E515", config(tie_word_embeddings=True)),
    "an untied head that is absent": ("E511", damaged(**{"lm_head.weight": None})),
    "cut in the data": ("E504", raw(lambda b: b[:-5])),
    "cut in the header": ("E504", raw(lambda b: b[:100])),
    "cut to nothing": ("E503", raw(lambda b: b"")),
    "bytes behind the end": ("E504", raw(lambda b: b + b"PK\3\4")),
    "a header of 2**60 bytes": ("E503", raw(lambda b: (2**60).to_bytes(8, "little") + b[8:])),
    "a header that is not JSON": ("E503", raw(lambda b: b[:8] + b"}" + b[9:])),
    "a header nested deeply": ("E503", raw(lambda b: (200000).to_bytes(8, "little") + b"{" + b"[" * 199999)),
    "a header that is a list": ("E503", raw(lambda b: b[:8] + b"[" + b[9:])),
    "a pickle under this name": ("E503", raw(lambda b: b"\x80\x04\x95cos\nsystem\n" + b"." * 90)),
    "a tensor written twice": ("E503", raw(lambda b: b.replace(b'layers.1.mlp.up', b'layers.0.mlp.up', 1))),
    "an unknown dtype": ("E503", header(lambda h: h[Q].update(dtype="F128"))),
    "another dtype": ("E504", header(lambda h: h[Q].update(dtype="BF16"))),
    "a negative size": ("E503", header(lambda h: h[Q].update(shape=[-8, -8]))),
    "a shape of true": ("E503", header(lambda h: h[Q].update(shape=[True, 64]))),
    "a shape that overflows": ("E503", header(lambda h: h[Q].update(shape=[2**62, 2**62]))),
    "offsets that overlap": ("E504", header(lambda h: h[Q].update(data_offsets=[0, 256]))),
    "offsets beyond the file": ("E504", header(lambda h: h[Q].update(data_offsets=[10**9, 10**9 + 256]))),
    "offsets backwards": ("E503", header(lambda h: h[Q].update(data_offsets=[256, 0]))),
    "an entry without offsets": ("E503", header(lambda h: h[Q].pop("data_offsets"))),
    "a tensor dropped from the header": ("E504", header(lambda h: h.pop(Q))),
    "metadata of numbers": ("E503", header(lambda h: h.update(__metadata__={"a": 1}))),
    "an index without weight_map": ("E505", index(lambda i: {"metadata": {}})),
    "an index that is a list": ("E505", index(lambda i: [1])),
    "an index of numbers": ("E505", index(lambda i: i[HOMES].update({Q: 3}))),
    "an index that is not JSON": ("E505", text(INDEX, "{")),
    "an index with a key twice": ("E505", text(INDEX, '{"weight_map": {}, "weight_map": {}}')),
    "a shard path that leaves": ("E506", index(lambda i: i[HOMES].update({Q: "../a.safetensors"}))),
    "an absolute shard path": ("E506", index(lambda i: i[HOMES].update({Q: "/etc/model.safetensors"}))),
    "a shard path of Windows": ("E506", index(lambda i: i[HOMES].update({Q: "C:\\model.safetensors"}))),
    "a shard that is a pickle": ("E506", index(lambda i: i[HOMES].update({Q: "pytorch_model.bin"}))),
    "the wrong shard": ("E507", index(lambda i: i[HOMES].update({Q: ONE, "model.norm.weight": ONE}))),
    "a name in no shard": ("E507", index(lambda i: i[HOMES].update({"model.extra": ONE}))),
    "a name not in the index": ("E507", index(lambda i: i[HOMES].pop(Q))),
    "a total size that lies": ("E507", index(lambda i: i["metadata"].update(total_size=12345))),
    "a total size of words": ("E505", index(lambda i: i["metadata"].update(total_size="big"))),
    "a shard that is missing": ("E507", shard(lambda f: (f / ONE).unlink())),
    "a tensor in two shards": ("E507", shard(lambda f: save_file(tensors(), f / ONE))),
    "an extra tensor in a shard": ("E507", shard(add_to)),
    "a dangling link": ("E502", shard(lambda f: ((f / ONE).unlink(), (f / ONE).symlink_to("nowhere")))),
    "a shard that is a folder": ("E502", shard(lambda f: ((f / ONE).unlink(), (f / ONE).mkdir()))),
    "two checkpoints": ("E508", shard(lambda f: save_file(tensors(), f / "model.safetensors"))),
    "a config that is cut": ("E530", text("config.json", '{"a": ')),
    "a config of another model": ("E531", config(model_type="unheard-of")),
    "a config with an unknown key": ("E533", config(layer_scale=2.0)),
    "quantised weights": ("E533", config(quantization_config={"bits": 4})),
    "a window of words": ("E303", config(sliding_window="wide")),
}  # fmt: skip


@pytest.mark.parametrize("what", TABLE)
def test_damage_is_named(what: str, tmp_path: Path) -> None:
    """The code says what kind of damage, the message names the file, the folder or the tensor."""
    code, damage = TABLE[what]
    folder = tmp_path / "model"
    damage(folder)
    with pytest.raises(ComposerError) as caught:
        composer.load(folder)

    assert code == caught.value.code
    assert any(word in str(caught.value) for word in ("model", "config.json"))


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    """Missing, unexpected, mis-shaped and mistyped tensors come in one error, layers folded."""
    found = tensors()
    for layer in range(3):
        found[f"model.layers.{layer}.self_attn.query.weight"] = found.pop(
            f"model.layers.{layer}.self_attn.q_proj.weight"
        )
    found["model.norm.weight"] = torch.ones(9)
    found["lm_head.weight"] = torch.ones(11, 8, dtype=torch.int32)
    with pytest.raises(ComposerError) as caught:
        composer.load(write_single(tmp_path / "model", found))

    assert ["E511", "E512", "E513", "E514"] == [problem.code for problem in caught.value.problems]
    assert "model.layers.{0..2}.self_attn.q_proj.weight" in caught.value.problems[0].message


def test_float64_is_cast(tmp_path: Path) -> None:
    """Double precision is no damage: it is cast to what the configuration names."""
    model = composer.load(write_single(tmp_path / "model", tensors(dtype=torch.float64)))

    assert torch.float32 == model.dtype


def test_overflow_of_a_cast(tmp_path: Path) -> None:
    """A number that the wanted precision cannot hold is said, not turned into an infinity."""
    found = tensors()
    found[Q][0, 0] = 1e6
    folder = write_single(tmp_path / "model", found)
    with pytest.raises(
        ComposerError, match=r"numbers too large for torch.float16: model.layers.1.self_attn.q_proj"
    ):
        composer.load(folder, dtype=torch.float16)

    assert torch.bfloat16 == composer.load(folder, dtype=torch.bfloat16).dtype


def test_nothing_is_half_loaded(single: Path, tmp_path: Path) -> None:
    """A model that was given a bad checkpoint still has every parameter it had."""
    model = composer.load(single)
    before = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    found = tensors(1)
    found[Q][0, 0] = float("nan")
    bad = composer.store.Checkpoint.open(write_single(tmp_path / "bad", found))
    weights = composer.layout.family.family_named("mistral").weights
    with pytest.raises(ComposerError):
        composer.store.materialize(model, weights, bad)

    assert before == {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
