"""params.json and consolidated weights: in, out, and into the layout that transformers reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

import composer
from composer.errors import ComposerError, WeightsError
from composer.store.save import spec_text

from .conftest import write_single
from .originals import (
    CUT,
    HEAD,
    HEADS,
    LAYERS,
    PARAMS,
    VOCAB,
    logits,
    piece,
    tensors,
    write,
    write_numbered,
    write_params,
)  # fmt: skip

LAYOUT = "mistral"
IDS = torch.randint(VOCAB, (2, 17), generator=torch.Generator().manual_seed(1))
WINDOWS: dict[str, tuple[dict[str, Any], list[int | None], str]] = {
    "none": ({}, [None] * 4, "mistral"),
    "null": ({"sliding_window": None}, [None] * 4, "mistral"),
    "a number": ({"sliding_window": 5}, [5] * 4, "mistral"),
    "a number as text": ({"sliding_window": "5"}, [5] * 4, "mistral"),
    "a list of one": ({"_sliding_window": [5]}, [5] * 4, "mistral"),
    "a list that is repeated": ({"_sliding_window": [None, 5]}, [None, 5] * 2, "ministral"),
    "a whole list": ({"_sliding_window": [5, None, None, "5"]}, [5, None, None, 5], "ministral"),
    "a list without the mark": ({"sliding_window": [None, 5, 5, 5]}, [None, 5, 5, 5], "ministral"),
}


@pytest.mark.parametrize("what", WINDOWS)
def test_logits_are_those_of_the_authors_way(what: str, tmp_path: Path) -> None:
    """Loaded, our model computes what neighbours as rotary partners compute; so does transformers on our export."""
    params, windows, family = WINDOWS[what]
    found = tensors()
    model = composer.load(write(tmp_path / "original", found, **params))
    composer.save(model, tmp_path / "hf")
    theirs, info = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    expected = logits(found, IDS, windows)

    assert not any(info.values())
    assert family == AutoConfig.from_pretrained(tmp_path / "hf").model_type == model.plan.spec.weights
    with torch.no_grad():
        assert torch.allclose(expected, model(IDS).logits, atol=3e-5)
        assert torch.allclose(expected, theirs(IDS).logits, atol=3e-5)


def test_the_reference_can_fail(tmp_path: Path) -> None:
    """Queries read as they lie, without the change of rows, are another model."""
    found = tensors()
    rows = torch.arange(HEADS * HEAD).view(HEADS, HEAD // 2, 2).transpose(1, 2).reshape(-1)
    turned = {n: t[rows] if n.endswith("wq.weight") else t for n, t in found.items()}
    model = composer.load(write(tmp_path / "original", turned))

    with torch.no_grad():
        assert not torch.allclose(logits(found, IDS, [None] * LAYERS), model(IDS).logits, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("what", WINDOWS)
def test_round_trips_bit_for_bit(what: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """Original to ours, to transformers' and back to the original: the same bytes, the same architecture."""
    params, windows, _ = WINDOWS[what]
    found = tensors(dtype=dtype)
    model = composer.load(write(tmp_path / "one", found, **params))
    composer.save(model, tmp_path / "hf")
    composer.save(composer.load(tmp_path / "hf"), tmp_path / "two", layout=LAYOUT)
    again = load_file(tmp_path / "two" / "consolidated.safetensors")
    written = json.loads((tmp_path / "two" / "params.json").read_text())

    assert dtype == model.dtype
    assert {*found} == {*again}
    assert all(torch.equal(tensor, again[name]) for name, tensor in found.items())
    sizes = written.pop("_sliding_window", None) or [written.pop("sliding_window", None)] * LAYERS
    assert (PARAMS, windows) == (written, sizes)
    assert {"consolidated.safetensors", "params.json"} <= {each.name for each in (tmp_path / "two").iterdir()}


@pytest.mark.parametrize("count", [1, 2])
def test_numbered_files_are_joined(count: int, tmp_path: Path) -> None:
    """Slices of the older files are put together before rows change places."""
    found = tensors()
    whole = composer.load(write(tmp_path / "whole", found))
    parts = composer.load(write_numbered(tmp_path / "parts", found, count))
    cast = composer.load(tmp_path / "parts", dtype=torch.bfloat16)

    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert all(
        torch.equal(a.bfloat16(), b) for a, b in zip(whole.parameters(), cast.parameters(), strict=True)
    )


def test_shards_of_a_model_too_large_for_one_file(tmp_path: Path) -> None:
    """The files of an index are read alike, and go when one file is written."""
    found, folder = tensors(), write(tmp_path / "one", {})
    (folder / "consolidated.safetensors").unlink()
    homes = {name: f"consolidated-{1 + at % 2:05}-of-00002.safetensors" for at, name in enumerate(found)}
    for file in sorted({*homes.values()}):
        save_file({name: found[name] for name in found if homes[name] == file}, folder / file)
    (folder / "consolidated.safetensors.index.json").write_text(json.dumps({"weight_map": homes}))
    composer.save(composer.load(folder), folder, layout=LAYOUT)
    again = load_file(folder / "consolidated.safetensors")

    assert all(torch.equal(tensor, again[name]) for name, tensor in found.items())
    assert ["consolidated.safetensors"] == [each.name for each in folder.glob("consolidated*")]


def broken_parts(folder: Path, how: str) -> Path:
    """Numbered files that do not belong together."""
    write_numbered(folder, tensors(), 3 if how == "a gap" else 2)
    other = tensors(1)
    if how == "a gap":
        (folder / "consolidated.01.pth").unlink()
    if how == "norms of another model":
        torch.save({n: piece(n, t, 1, 2) for n, t in other.items()}, folder / "consolidated.01.pth")
    if how == "a tensor in one of them":
        torch.save({"x": torch.ones(1)}, folder / "consolidated.01.pth")
    if how == "slices that do not fit":
        odd = {n: piece(n, t, 1, 2) for n, t in tensors().items()}
        odd["output.weight"] = odd["output.weight"][:, :-1]
        torch.save(odd, folder / "consolidated.01.pth")
    if how == "both kinds":
        write(folder, tensors())
    return folder


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("a gap", "E544", "lacks consolidated.01.pth"),
        ("norms of another model", "E544", "differs between the files and is not cut"),
        ("a tensor in one of them", "E544", "is not in every file of the model"),
        ("slices that do not fit", "E544", "the slices of output.weight in the files do not fit together"),
        ("both kinds", "E508", "both consolidated.safetensors and consolidated.00.pth"),
    ],
)
def test_numbered_files_that_do_not_fit(how: str, code: str, says: str, tmp_path: Path) -> None:
    """They are refused before anything is joined."""
    with pytest.raises(WeightsError, match=says) as caught:
        composer.load(broken_parts(tmp_path / "parts", how))

    assert code == caught.value.code


def test_every_matrix_is_cut_somewhere() -> None:
    """The rules of joining name every tensor but the norms."""
    files = composer.layout.family.originals()[LAYOUT].file.layout
    assert files is not None

    assert {n: CUT.get(n.split(".")[-2]) for n in tensors()} == {n: files.dimension(n) for n in tensors()}


def test_one_of_two_layouts_is_read(tmp_path: Path) -> None:
    """A folder with the files of both is read in the usual one; the other need not even be sound."""
    folder = write_single(tmp_path / "both", {})
    composer.save(composer.load(write(tmp_path / "one", tensors(0))), folder)
    expected = composer.load(folder).state_dict()
    (folder / "consolidated.safetensors").write_bytes(b"damaged")
    write_params(folder, dim=1)
    found = composer.load(folder).state_dict()

    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def test_the_configuration_of_either_layout(tmp_path: Path) -> None:
    """Original weights beside a config.json are read by it, even where params.json does not say enough."""
    folder = write(tmp_path / "one", tensors(), rope_theta=..., sliding_window=None)
    composer.save(composer.load(write(tmp_path / "two", tensors())), tmp_path / "hf")
    with pytest.raises(WeightsError, match="rope_theta is missing"):
        composer.load(folder)
    (folder / "config.json").write_bytes((tmp_path / "hf" / "config.json").read_bytes())

    with torch.no_grad():
        assert torch.equal(composer.load(folder)(IDS).logits, composer.load(tmp_path / "hf")(IDS).logits)


def test_missing_theta(tmp_path: Path) -> None:
    """With a window in every layer it is that of the first release; otherwise nothing says what it is."""
    model = composer.load(write(tmp_path / "one", tensors(), rope_theta=..., sliding_window=5))
    options: Any = model.plan.layers[0].host.branches[0].mixers[0].block

    assert 10000.0 == options.rope.theta
    for params in ({}, {"_sliding_window": [None, 5]}):
        with pytest.raises(WeightsError, match="rope_theta is missing") as caught:
            composer.load(write(tmp_path / "two", tensors(), rope_theta=..., **params))
        assert "E535" == caught.value.code


@pytest.mark.parametrize(
    ("params", "code", "says"),
    [
        ({"sliding_window": 5, "_sliding_window": 5}, "E535", "both sliding_window and _sliding_window"),
        ({"_sliding_window": [None, 5, 5]}, "E535", "must fit a whole number of times into n_layers"),
        ({"_sliding_window": [None, 5, 6, 7]}, "E535", "windows of several sizes"),
        ({"_sliding_window": []}, "E534", "words"),
        ({"sliding_window": "wide"}, "E534", "whole cannot be applied to 'wide'"),
        ({"moe": {"num_experts": 8}}, "E533", "moe is a mapping; only null is known"),
        ({"quantization": {"qformat_weight": "fp8_e4m3"}}, "E533", "quantization"),
        ({"vision_encoder": {}}, "E533", "vision_encoder"),
        ({"use_biases": True}, "E533", "use_biases"),
        ({"n_kv_heads": ...}, "E534", "c.n_kv_heads is not there"),
        ({"head_dims": 8}, "E533", "'head_dims' is not known"),
    ],
)
def test_what_cannot_be_read(params: dict[str, Any], code: str, says: str, tmp_path: Path) -> None:
    """A feature that is not there is named, with the file."""
    with pytest.raises(WeightsError, match=says) as caught:
        composer.load(write(tmp_path / "one", tensors(), **params))

    assert code == caught.value.code
    assert "params.json" in str(caught.value)


def test_what_the_layout_cannot_say(tmp_path: Path) -> None:
    """A model is not written in a layout that would make another one of it; the fields are named."""
    spec = composer.load(write(tmp_path / "one", tensors())).plan.spec
    changed = composer.read_spec(spec_text(spec), set=["blocks.mlp.hidden_act=gelu"])
    model = composer.build(composer.resolve(changed))
    with pytest.raises(WeightsError, match=r"layers\.\{0\.\.3\}\.mlp\.hidden_act: .*it is 'gelu'") as caught:
        composer.save(model, tmp_path / "two", layout=LAYOUT)

    assert ("E536", False) == (caught.value.code, (tmp_path / "two").exists())


def test_a_tied_head_is_not_stored(tmp_path: Path) -> None:
    """Where output and embedding are one, the file says so and has no second copy."""
    found = {name: tensor for name, tensor in tensors().items() if name != "output.weight"}
    model = composer.load(write(tmp_path / "one", found, tied_embeddings=True))
    composer.save(model, tmp_path / "two", layout=LAYOUT)

    assert {*found} == {*load_file(tmp_path / "two" / "consolidated.safetensors")}
    assert json.loads((tmp_path / "two" / "params.json").read_text())["tied_embeddings"] is True


def test_saving_into_a_folder_of_another_layout(tmp_path: Path) -> None:
    """The weights and configurations of the old layout go, in either direction; other files stay."""
    folder = write(tmp_path / "one", tensors())
    (folder / "README.md").write_text("mine")
    model = composer.load(folder)
    composer.save(model, folder)
    usual = {each.name for each in folder.iterdir()}
    composer.save(composer.load(folder), folder, layout=LAYOUT)
    original = {each.name for each in folder.iterdir()}

    assert {"README.md", "config.json", "model.safetensors", "generation_config.json"} == usual
    assert {"README.md", "params.json", "consolidated.safetensors", "generation_config.json"} == original
    assert all(
        torch.equal(t, load_file(folder / "consolidated.safetensors")[n]) for n, t in tensors().items()
    )


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    """Scales beside the tensors are not passed over."""
    found = {**tensors(), "layers.0.attention.wq.qscale_act": torch.ones(())}
    (tmp_path / "one").mkdir()
    save_file(found, tmp_path / "one" / "consolidated.safetensors")
    with pytest.raises(
        ComposerError, match=r"no parameter for this tensor: layers\.0\.attention\.wq\.qscale_act"
    ):
        composer.load(write_params(tmp_path / "one"))
