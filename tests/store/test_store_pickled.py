"""`pytorch_model.bin` and its like: read as tensors and nothing else, whatever the file would like to be."""

from __future__ import annotations

import json
import pickle
import resource
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import MistralForCausalLM

import composer
from composer.errors import WeightsError
from composer.store import pickle_check
from composer.store.original import open_weights
from composer.store.pickled import PickledShard

from .conftest import LAYERS, tensors, write_single
from .pickles import Bomb, more, rezipped, saved, with_pickle

PAIR = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
IDS = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]])


def pickled(folder: Path, raw: bytes) -> Path:
    """A folder with `pytorch_model.bin` instead of safetensors."""
    write_single(folder, tensors())
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(raw)
    return folder


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_same_model_as_from_safetensors(archive: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    """Both forms of torch.save hold the same numbers, kept and cast."""
    one = composer.load(write_single(tmp_path / "one", tensors(dtype=dtype)))
    two = composer.load(pickled(tmp_path / "two", saved(tensors(dtype=dtype), archive)))

    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_transformers_reads_the_same_file(tmp_path: Path) -> None:
    """Its logits from `pytorch_model.bin` are ours, and those of what we save from it."""
    folder = pickled(tmp_path / "model", saved(OrderedDict(tensors())))
    theirs = MistralForCausalLM.from_pretrained(folder, use_safetensors=False)
    model = composer.load(folder)
    composer.save(model, folder)

    with torch.no_grad():
        assert torch.allclose(theirs(IDS).logits, model(IDS).logits, atol=1e-5)
    assert [] == [*folder.glob("*.bin")]


def test_shards_and_their_index(tmp_path: Path) -> None:
    """The files that the index names, whatever size it claims; they must agree with it."""
    folder, found = pickled(tmp_path / "model", b""), tensors()
    (folder / "pytorch_model.bin").unlink()
    names, homes = list(found), {}
    for at, part in enumerate((names[::2], names[1::2])):
        file = f"pytorch_model-{at + 1:05}-of-00002.bin"
        (folder / file).write_bytes(saved({name: found[name] for name in part}))
        homes |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 5}, "weight_map": homes}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    model = composer.load(folder)

    assert torch.equal(found["lm_head.weight"], dict(model.named_parameters())["head.weight"])
    homes.pop(names[0])
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=f"but not in the index: {names[0]}"):
        composer.load(folder)


def test_safetensors_come_first(single: Path) -> None:
    """A folder with both is read without a look at the pickle."""
    (single / "pytorch_model.bin").write_bytes(b"\x80\x02cos\nsystem\n")

    assert LAYERS == len(composer.load(single).plan.layers)


def test_writing_never_reaches_the_file(tmp_path: Path) -> None:
    """Mapped pages are copied when they are written to."""
    raw = saved(tensors())
    model = composer.load(pickled(tmp_path / "model", raw))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)

    assert raw == (tmp_path / "model" / "pytorch_model.bin").read_bytes()


def test_tensors_that_share_or_turn(tmp_path: Path) -> None:
    """Tensors over one storage, slices and transposed ones are what they were."""
    x = torch.arange(16.0).view(4, 4)
    found = {"a": x, "b": x, "c": x[1:], "d": x.T, "e": nn.Parameter(x), "f": torch.empty(0, 2)}
    (tmp_path / "x.bin").write_bytes(saved(found))
    shard = PickledShard(tmp_path / "x.bin")

    assert [*found] == [*shard.entries]
    assert all(torch.equal(tensor, shard.tensor(name)) for name, tensor in found.items())
    assert all(shard.tensor(name).is_contiguous() for name in found)


RAW, OLD = saved(PAIR), saved(PAIR, archive=False)
HUGE = b"\x8a\x06\x00\x00\x00\x00\x00\x10"  # 2**44
CONTENT: dict[str, tuple[str, bytes]] = {
    "nothing": ("E541", b""),
    "a text": ("E541", b"hello, this is no model"),
    "another pickle": ("E541", pickle.dumps(PAIR["b"].tolist())),
    "an archive of something else": ("E541", rezipped(RAW, lambda n, d: iter([(f"x/{n}", d)]))),
    "a record that leads out": ("E542", more(RAW, "../../evil")),
    "a record that leads out from within": ("E542", more(RAW, "archive/../../evil")),
    "an absolute record": ("E542", more(RAW, "/etc/evil")),
    "two pickles": ("E541", more(RAW, "other/data.pkl")),
    "compressed zeros": ("E542", rezipped(RAW, lambda n, d: iter([(n, d)]), zipfile.ZIP_DEFLATED)),
    "a pickle too long": ("E542", with_pickle(RAW, lambda _: b"\x80\x02" + b"0" * (9 << 20) + b".")),
    "a large bytearray": ("E542", with_pickle(RAW, lambda _: b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.")),
    "a large tensor": ("E542", with_pickle(RAW, lambda _: b"\x80\x02ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R.")),
    "a shape beyond the file": ("E541", with_pickle(RAW, lambda p: p.replace(b"K\x02K\x03\x86", HUGE + b"K\x03\x86"))),
    "a storage beyond memory": ("E541", OLD.replace(b"K\x06", HUGE, 1)),
    "a string beyond the file": ("E541", with_pickle(RAW, lambda _: b"\x80\x02X\xff\xff\xff\x7fabc.")),
    "an old opcode that calls": ("E542", with_pickle(RAW, lambda _: b"\x80\x02(S'touch x'\nios\nsystem\n.")),
    "a name from the stack": ("E542", with_pickle(RAW, lambda _: b"\x80\x04\x8c\x02os\x8c\x06system\x93.")),
    "an extension": ("E542", with_pickle(RAW, lambda _: b"\x80\x02\x82\x01.")),
    "a persistent id": ("E541", with_pickle(RAW, lambda _: b"\x80\x02Pabc\n.")),
    "a call that cannot be": ("E541", with_pickle(RAW, lambda _: b"\x80\x02ctorch\nSize\nK\x01\x85R.")),
    "a module": ("E542", saved(nn.Linear(2, 2))),
    "a sparse tensor": ("E542", saved({"a": torch.eye(3).to_sparse()})),
    "a tensor without numbers": ("E542", saved({"a": torch.ones(3, device="meta")})),
    "a list": ("E543", saved([PAIR["b"]])),
    "a number": ("E543", saved({**PAIR, "epoch": 3})),
    "a name that is none": ("E543", saved({1: PAIR["b"]})),
    "a nested collection": ("E543", saved({"model": PAIR})),
    "one number a billion times": ("E543", saved({"a": torch.ones(1).expand(10**6, 10**6)})),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTENT)
def test_refused(what: str, tmp_path: Path) -> None:
    """What is no collection of plain tensors is refused at once, by code and by name."""
    code, raw = CONTENT[what]
    (tmp_path / "pytorch_model.bin").write_bytes(raw)
    begin = time.perf_counter()
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin") as caught:
        open_weights(tmp_path)

    assert code == caught.value.code
    assert "weights_only" not in str(caught.value)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("archive", [True, False])
def test_nothing_is_called(archive: bool, tmp_path: Path) -> None:
    """A file that would run a command when it is opened is refused by the name of what it calls."""
    proof = tmp_path / "proof"
    (tmp_path / "pytorch_model.bin").write_bytes(saved({"a": Bomb(proof)}, archive))
    with pytest.raises(WeightsError, match=r"wants to call (posix|nt)\.system when it is opened") as caught:
        open_weights(tmp_path)

    assert ("E542", False) == (caught.value.code, proof.exists())


def test_torch_checks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If our own look saw nothing, torch still refuses to call anything."""
    monkeypatch.setattr(pickle_check, "_check_globals", lambda *_: None)
    proof = tmp_path / "proof"
    (tmp_path / "pytorch_model.bin").write_bytes(saved({"a": Bomb(proof)}))
    with pytest.raises(WeightsError, match="torch finds more in it than tensors") as caught:
        open_weights(tmp_path)

    assert ("E541", False) == (caught.value.code, proof.exists())


@pytest.mark.parametrize("raw", [RAW, OLD], ids=["archive", "old"])
def test_cut_off_anywhere(raw: bytes, tmp_path: Path) -> None:
    """A download that ended early is told from a whole one wherever it ended."""
    for end in range(0, len(raw), 37):
        (tmp_path / "pytorch_model.bin").write_bytes(raw[:end])
        with pytest.raises(WeightsError) as caught:
            open_weights(tmp_path)
        assert "E541" == caught.value.code


def outcome(folder: Path) -> str:
    """How opening the weights of a folder ends."""
    try:
        open_weights(folder)
    except WeightsError as error:
        return error.code
    return "fine"


def test_bytes_that_changed_by_chance(tmp_path: Path) -> None:
    """A flipped byte is an error of ours or another number, never a crash."""
    generator, ends = torch.Generator().manual_seed(0), set()
    for at in torch.randint(len(RAW), (150,), generator=generator).tolist():
        raw = bytearray(RAW)
        raw[at] ^= 1 + at % 255
        (tmp_path / "pytorch_model.bin").write_bytes(raw)
        ends.add(outcome(tmp_path))

    assert ends <= {"fine", "E541", "E542", "E543"}


@pytest.mark.parametrize(
    ("version", "ends"), [("2.9.1+cu128", "E540"), ("2.10.0a0+git", "fine"), ("3.0.0", "fine")]
)
def test_older_torch(version: str, ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is older than 2.10 no pickle is opened."""
    (tmp_path / "pytorch_model.bin").write_bytes(RAW)
    monkeypatch.setattr(torch, "__version__", version)

    assert ends == outcome(tmp_path)


def test_many_views_of_one_storage_cost_nothing(tmp_path: Path) -> None:
    """A small file with many turned views is refused by its names before a gigabyte of copies is made."""
    matrix = torch.zeros(1024, 1024).t()
    folder = pickled(tmp_path, saved({f"view{at}": matrix[:, at:] for at in range(512)}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError) as caught:
        composer.load(folder)

    assert "E511" == caught.value.code
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024
