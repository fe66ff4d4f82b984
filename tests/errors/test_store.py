"""Every error of checkpoint folders: its code, and its words as users read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import composer
from composer.errors import CallError, WeightsError
from composer.layout.rows import Row, WeightMap, own_names
from composer.shipped import checkpoint_folder
from composer.store import Checkpoint, materialize, save_tensors

ONE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def refused(work: Callable[[], Any], folder: Path) -> str:
    """The whole message, with the folder called F."""
    with pytest.raises(WeightsError) as caught:
        work()
    assert caught.value.code == caught.value.to_json()[0]["code"]
    return str(caught.value).replace(str(folder), "F")


def opened(folder: Path) -> str:
    return refused(lambda: Checkpoint.open(folder), folder)


def written(folder: Path, header: bytes, data: bytes = b"") -> Path:
    """A safetensors file of that header."""
    (folder / ONE).write_bytes(len(header).to_bytes(8, "little") + header + data)
    return folder


def entry(**changes: Any) -> bytes:
    """A header with one tensor of 8 bytes, changed."""
    record = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}
    return json.dumps({"t": {k: v for k, v in record.items() if v is not None}}).encode()


def test_no_checkpoint_there(tmp_path: Path) -> None:
    """E501 tells a path that is not there, a file, a folder without weights, with pickles, with another name."""
    where = "a checkpoint is a folder with model.safetensors or model.safetensors.index.json"
    nothing = "F holds none of model.safetensors, model.safetensors.index.json [E501]"

    assert f"F does not exist; {where} [E501]" == opened(tmp_path / "no")
    assert nothing == opened(tmp_path)
    (tmp_path / "weights.safetensors").touch()
    hint = "   hint: weights.safetensors is not a name that is looked for; rename it if it is the whole model"
    assert f"{nothing}\n{hint}" == opened(tmp_path)
    (tmp_path / "model.pt").touch()
    hint = "   hint: pickles can run code when opened, and are read under their usual names only; use safetensors"
    assert f"{nothing}\n{hint}" == opened(tmp_path)
    file = tmp_path / "weights.safetensors"
    assert f"F is a file; {where} [E501]" == opened(file)


def test_every_name_that_is_looked_for(tmp_path: Path) -> None:
    """E501 of a folder that a model is loaded from names files of every layout and kind."""
    names = (
        "model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json, "
        "consolidated.safetensors, consolidated.safetensors.index.json"
    )
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()

    assert f"F/empty holds none of {names}, consolidated.00.pth [E501]" == loaded(
        tmp_path / "empty", tmp_path
    )
    where = f"a checkpoint is a folder with {names} or consolidated.00.pth"
    assert f"F/file is a file; {where} [E501]" == loaded(tmp_path / "file", tmp_path)


def loaded(path: Path, folder: Path) -> str:
    return refused(lambda: composer.load(path), folder)


def test_unreadable(tmp_path: Path) -> None:
    """E502: what the system says of the file, with its name."""
    (tmp_path / ONE).symlink_to("gone")
    assert f"F/{ONE} cannot be read: No such file or directory [E502]" == opened(tmp_path)
    (tmp_path / ONE).unlink()
    (tmp_path / ONE).mkdir()
    assert f"F/{ONE} cannot be read: it is not a regular file [E502]" == opened(tmp_path)
    (tmp_path / ONE).rmdir()
    with open(tmp_path / INDEX, "wb") as file:
        file.truncate((32 << 20) + 1)
    expected = f"F/{INDEX} cannot be read: it has 33554433 bytes, more than the 33554432 allowed [E502]"
    assert expected == opened(tmp_path)


HEADERS: dict[str, bytes] = {
    "its header is not JSON: Expecting value": b'{"t": }',
    "its header has the key 't' twice": b'{"t": 1, "t": 2}',
    "its header holds NaN, which is not a number of JSON": b'{"t": NaN}',
    "its header holds 1e999, which is too large for a number": b'{"t": 1e999}',
    "its header holds an integer of 41 digits": b'{"t": ' + b"1" * 41 + b"}",
    "its header is not UTF-8 text (byte 2)": b'{"\xff": 1}',
    "its header is nested too deeply": b'{"t": ' + b"[" * 100000,
    "its header is not a JSON object": b"[1]",
    "its __metadata__ must map strings to strings": b'{"__metadata__": {"a": 1}}',
    "tensor 't' must have exactly dtype, shape and data_offsets": entry(shape=None),
    "tensor 't' has the unknown dtype 'F7'": entry(dtype="F7"),
    "tensor 't' has a shape that is not a short list of sizes": entry(shape=[1] * 17),
    "tensor 't' has data_offsets that are not [begin, end]": entry(data_offsets=[8, 0]),
}


@pytest.mark.parametrize("message", HEADERS)
def test_header_that_is_none(message: str, tmp_path: Path) -> None:
    """E503: the header cannot be understood."""
    assert f"{ONE}: {message} [E503]" == opened(written(tmp_path, HEADERS[message]))


def test_no_safetensors_file(tmp_path: Path) -> None:
    """E503: too short to have a header, or one that claims to be endless."""
    (tmp_path / ONE).write_bytes(b"1234567")
    assert f"{ONE}: has 7 bytes and is no safetensors file [E503]" == opened(tmp_path)
    (tmp_path / ONE).write_bytes(b"\xff" * 9)
    claimed = f"{2**64 - 1} bytes; at most {32 << 20}"
    assert f"{ONE}: claims a header of {claimed} [E503]" == opened(tmp_path)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (entry(), 7, "is cut off: its tensors need 77 bytes, the file has 76"),
        (entry(), 11, "has 3 bytes after its last tensor"),
        (entry(shape=[3]), 8, "tensor 't' needs 12 bytes for F32 [3] but has 8"),
        (entry(data_offsets=[4, 12]), 12, "tensor 't' leaves 4 bytes unused before it"),
        (b'{"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"u":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
         2, "tensor 'u' overlaps the one before it"),
    ],
)  # fmt: skip
def test_header_that_does_not_fit(header: bytes, data: int, message: str, tmp_path: Path) -> None:
    """E504: the header can be understood, but the file is another."""
    assert f"{ONE}: {message} [E504]" == opened(written(tmp_path, header, bytes(data)))


def test_header_cut_off(tmp_path: Path) -> None:
    """E504: the file ends inside its header."""
    (tmp_path / ONE).write_bytes((92).to_bytes(8, "little") + b"{}  ")
    assert f"{ONE}: is cut off: its header needs 100 bytes of 12 [E504]" == opened(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "must be a JSON object [E505]"),
        ("{}", "must have a weight_map from tensor names to file names [E505]"),
        ('{"weight_map": {"t": 1}}', ": weight_map.t must be a file name, not 1 [E505]"),
        ('{"weight_map": {"t": "a.safetensors"}, "metadata": 1}', ": metadata must be an object [E505]"),
        ('{"weight_map": {"t": "a.safetensors"}, "metadata": {"total_size": "1"}}',
         ": metadata.total_size must be a number of bytes, not '1' [E505]"),
        ('{"weight_map": {"t": "../a.safetensors"}}',
         ": weight_map.t is '../a.safetensors', not the name of a .safetensors file beside it [E506]"),
        ('{"weight_map": {"t": "a.safetensors"}}', " names a.safetensors, which is not in F [E507]"),
    ],
)  # fmt: skip
def test_index_that_is_none(content: str, message: str, tmp_path: Path) -> None:
    """E505 its form, E506 a name that leads elsewhere, E507 a shard that is not there."""
    (tmp_path / INDEX).write_text(content)
    assert f"{INDEX}{'' if message[0] in ': ' else ' '}{message}" == opened(tmp_path)


def test_index_that_is_not_json(tmp_path: Path) -> None:
    """E505 points into the file."""
    (tmp_path / INDEX).write_text('{"weight_map":\n  }')
    assert f"{INDEX}:2:3: {INDEX} is not JSON: Expecting value [E505]" == opened(tmp_path)


def test_index_that_lies(tmp_path: Path) -> None:
    """E507: all that differs at once, layers folded; a false total when nothing else is wrong."""
    save_file({f"a.{i}.w": torch.zeros(2) for i in range(3)}, tmp_path / "1.safetensors")
    save_file({"a.0.w": torch.zeros(2)}, tmp_path / "2.safetensors")
    homes = {"a.0.w": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": homes}))
    lead = f"{INDEX} and its shards disagree:"
    expected = [
        f"{lead} not in the shard that the index names: b [E507]",
        f"{lead} not in the shard that the index names: c [E507]",
        f"{lead} in a shard but not in the index: a.{{1..2}}.w [E507]",
        f"{lead} in more than one shard: a.0.w [E507]",
    ]
    assert expected == opened(tmp_path).splitlines()
    index = {"weight_map": {f"a.{i}.w": "1.safetensors" for i in range(3)}, "metadata": {"total_size": 25}}
    (tmp_path / INDEX).write_text(json.dumps(index))
    expected = [
        f"{INDEX}: metadata.total_size is 25, but its tensors have 24 bytes [E507]",
        "   hint: download the folder again, or remove total_size from the index",
    ]
    assert expected == opened(tmp_path).splitlines()


def test_two_checkpoints(tmp_path: Path) -> None:
    """E508: which one is meant is not guessed."""
    (tmp_path / ONE).touch()
    (tmp_path / INDEX).touch()
    assert f"F holds both {ONE} and {INDEX} [E508]\n   hint: remove the one that is old" == opened(tmp_path)


def test_weights_without_architecture(tmp_path: Path) -> None:
    """E509: tensors alone do not say how they are used."""
    save_file({"t": torch.zeros(2)}, tmp_path / ONE)
    expected = (
        "F has weights but neither composer.yaml nor config.json [E509]\n   hint: give the architecture with "
    )
    expected += "spec="
    assert expected == refused(lambda: composer.load(tmp_path), tmp_path)


def filling(
    folder: Path, found: dict[str, torch.Tensor], weights: WeightMap | None = None, dtype: Any = None
) -> str:
    """What is said when those tensors are to fill two layers of 2 by 2."""
    save_file(found, folder / ONE)
    with torch.device("meta"):
        model = torch.nn.Sequential(*(torch.nn.Linear(2, 2, bias=False) for _ in range(2))).to(dtype)
    weights = weights or own_names(["0.weight", "1.weight"])
    return refused(lambda: materialize(model, weights, Checkpoint.open(folder)), folder)


def test_tensors_of_another_model(tmp_path: Path) -> None:
    """E511 to E514 together: missing with the likeliest name, unexpected, mis-shaped, not floating point."""
    rows = WeightMap((Row("{i}.weight", ("layers.{i}.weight",)),))
    found = {"layers.0.wieght": torch.zeros(2, 2), "layers.1.weight": torch.zeros(2, 3, dtype=torch.int8)}
    expected = [
        "F: this tensor is missing: layers.0.weight [E511]",
        "   hint: is it 'layers.0.wieght', not used?",
        "F: the model has no parameter for this tensor: layers.0.wieght [E512]",
        "F: the model needs shape [2, 2], stored is [2, 3]: layers.1.weight [E513]",
        "F: I8 is stored where the model needs floating point: layers.1.weight [E514]",
    ]
    assert expected == filling(tmp_path, found, rows).splitlines()


def test_a_name_that_nobody_has(tmp_path: Path) -> None:
    """E511 when one tensor is asked for by name."""
    save_file({"layers.0.weight": torch.zeros(2)}, tmp_path / ONE)
    checkpoint = Checkpoint.open(tmp_path)
    expected = "F has no tensor 'layer.0.weight' [E511]\n   hint: did you mean 'layers.0.weight'?"
    assert expected == refused(lambda: checkpoint.tensor("layer.0.weight"), tmp_path)


def test_copies_that_differ(tmp_path: Path) -> None:
    """E515 names both."""
    rows = WeightMap((Row("0.weight", ("a", "b")), Row("1.weight", ("c",))))
    found = {"a": torch.zeros(2, 2), "b": torch.ones(2, 2), "c": torch.zeros(2, 2)}
    expected = "F: a and b stand for one parameter but hold different numbers [E515]"
    assert expected == filling(tmp_path, found, rows)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    """E516: not finite as stored, or too large for what is wanted."""
    found = {"0.weight": torch.zeros(2, 2), "1.weight": torch.full((2, 2), 1e6)}
    assert "F: numbers too large for torch.float16: 1.weight [E516]" == filling(
        tmp_path, found, dtype=torch.half
    )
    found["1.weight"][1, 1] = float("nan")
    assert "F: numbers that are not finite (NaN, infinity): 1.weight [E516]" == filling(tmp_path, found)


def test_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E521: the words of the system, and that nothing changed."""
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 3_000_000})())
    said = refused(lambda: save_tensors(tmp_path / "m", {"t": torch.zeros(10**6)}), tmp_path)
    unchanged = "what was there is unchanged [E521]"
    assert f"F/m could not be saved: it needs 4 MB and the disk has 3 MB left; {unchanged}" == said
    (tmp_path / "file").touch()
    said = refused(lambda: save_tensors(tmp_path / "file" / "m", {}), tmp_path)
    assert f"F/file/m could not be saved: File exists; {unchanged}" == said


def test_not_a_place_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E522: a file, or the folder that one stands in."""
    (tmp_path / "file").touch()
    said = refused(lambda: save_tensors(tmp_path / "file", {}), tmp_path)
    assert "F/file is a file; a model is saved as a folder [E522]" == said
    monkeypatch.chdir(tmp_path)
    said = refused(lambda: save_tensors(".", {}), tmp_path)
    expected = ". is the folder you are working in and cannot be replaced as a whole [E522]"
    assert f"{expected}\n   hint: give a folder inside it" == said


def test_layouts(tmp_path: Path) -> None:
    """E523 an unknown layout, E524 a spec that belongs to no family."""
    spec = composer.read_spec("pocket-mistral")
    model = composer.build(composer.resolve(spec), device="meta")
    said = refused(lambda: composer.save(model, tmp_path, layout="gguf"), tmp_path)
    assert "no layout is called 'gguf' [E523]\n   hint: one of: hf, composer, mistral, zyphra" == said
    model = composer.build(composer.resolve(spec.model_copy(update={"weights": None})), device="meta")
    expected = (
        "the spec 'pocket-mistral' names no family of published models [E524]\n"
        "   hint: add weights: <family> to the spec, or save with layout='composer'"
    )
    assert expected == refused(lambda: composer.save(model, tmp_path / "m"), tmp_path)


def test_numbers_that_are_not_there(tmp_path: Path) -> None:
    """E525: a model on the meta device has nothing to save."""
    model = composer.build(composer.resolve(composer.read_spec("pocket-mistral")), device="meta")
    expected = "the model has shapes but no numbers: it was built on the meta device [E525]"
    assert expected == refused(lambda: composer.save(model, tmp_path / "m"), tmp_path)


def called(folder: Path, **options: Any) -> str:
    """What `load` says of its arguments."""
    save_file({"t": torch.zeros(2)}, folder / ONE)
    with pytest.raises(CallError) as caught:
        composer.load(folder, **options)
    return str(caught.value)


@pytest.fixture
def pocket(tmp_path: Path) -> Path:
    """A copy of the shipped model that may be changed."""
    return Path(shutil.copytree(checkpoint_folder("pocket-mistral"), tmp_path / "pocket"))


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, "bfloat16"])
def test_precisions_that_no_model_has(dtype: Any, tmp_path: Path) -> None:
    """E713 lists those that there are."""
    known = "torch.float32, torch.bfloat16, torch.float16, torch.float64"
    expected = f"dtype: a model cannot be in {dtype!r} [E713]\n   hint: one of: {known}"
    assert expected == called(tmp_path, dtype=dtype)


def test_devices_that_are_not_there(tmp_path: Path) -> None:
    """E716 gives torch's reason in one line."""
    words = called(tmp_path, device="abacus").splitlines()
    assert words[0].startswith("device: the device 'abacus' cannot be used: Expected one of cpu, cuda")
    assert words[0].endswith("[E716]")
    lead = "device: weights cannot be loaded onto the meta device [E716]"
    assert lead == called(tmp_path, device="meta").splitlines()[0]


@pytest.mark.parametrize("named", ["int8", "float8_e4m3fn", 5])
def test_a_precision_in_the_config_that_no_model_has(named: Any, pocket: Path) -> None:
    """E517 names it; what is asked for wins, and "auto" is what is stored."""
    file = pocket / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "dtype": named}), encoding="utf-8")
    said = refused(lambda: composer.load(pocket), pocket)
    hint = "give dtype=, or name one of: float32, bfloat16, float16, float64"
    assert f"config.json names the dtype {named!r} [E517]\n   hint: {hint}" == said.removeprefix("dtype: F/")
    assert torch.float32 == composer.load(pocket, dtype=torch.float32).dtype
    file.write_text(json.dumps({**config, "dtype": "auto"}), encoding="utf-8")
    assert torch.bfloat16 == composer.load(pocket).dtype


def test_what_is_no_model_is_not_saved(tmp_path: Path) -> None:
    """E717 names its kind."""
    plan = composer.resolve(composer.read_spec("pocket-mistral"))
    with pytest.raises(CallError) as caught:
        composer.save(plan, tmp_path / "m")  # type: ignore[arg-type]  # the mistake
    assert "what is saved is a model, not a Plan [E717]" == str(caught.value).splitlines()[0]


def test_a_head_that_the_plan_has_not(pocket: Path) -> None:
    """E718 tells both."""
    plan = composer.resolve(composer.read_spec("pocket-mistral"))
    said = called(pocket, spec=plan, head="base")
    assert "head: the plan has the head 'causal-lm', not 'base' [E718]" == said.splitlines()[0]


def test_a_folder_without_a_head(tmp_path: Path) -> None:
    """E511 says how it loads."""
    spec = composer.read_spec("pocket-mistral", set=["layers=2", "head={tied: false}"])
    composer.save(composer.build(composer.resolve(spec, head="base"), seed=0), tmp_path / "m")
    file = tmp_path / "m" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "architectures": ["MistralForCausalLM"]}), encoding="utf-8")
    said = refused(lambda: composer.load(tmp_path / "m"), tmp_path)
    hint = 'a model without a head loads with head="base"'
    assert f"F/m: this tensor is missing: lm_head.weight [E511]\n   hint: {hint}" == said
    assert None is composer.load(tmp_path / "m", head="base").head


def test_a_folder_that_is_never_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E502 when every attempt sees another folder under the name."""
    numbers = iter(range(100))
    monkeypatch.setattr("composer.store.files._identity", lambda folder: (0, next(numbers)))
    save_file({"t": torch.zeros(2)}, tmp_path / ONE)
    expected = "F cannot be read: it is replaced again and again [E502]"
    assert expected == refused(lambda: composer.load(tmp_path), tmp_path)
