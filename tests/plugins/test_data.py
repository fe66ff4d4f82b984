"""Specs and families that a plugin ships: they join those of the host, and harm none of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import composer
from composer import plugins
from composer.cli import main
from composer.layout.family import families, family_named, matching, unusable
from composer.layout.importing import import_config
from composer.shipped import checkpoint_folder, shipped_specs, spec_file

from .installing import GOOD, SPEC, Site, site_in

MODULE = """
    def build(self, site):
        from composer.nn import Mixer
        class Same(Mixer):
            def forward(self, x, at):
                return x
        return Same()
"""
DATA = """
from pathlib import Path
@composer.hookimpl
def composer_data():
    return [Path(__file__).parent / "data"]
"""
PLUGIN = GOOD.replace("@composer.hookimpl", f"{MODULE}\n@composer.hookimpl") + DATA
FAMILY = """
family: echoes
match: "c.model_type == 'echoes'"
includes: [config-keys]
defaults: {vocab_size: 8, width: 4, depth: 3}
spec:
  vocab_size: "= c.vocab_size"
  hidden_size: "= c.width"
  norm: {kind: rms, eps: 1.0e-5}
  pattern: e
  layers: "= c.depth"
  blocks: {e: {kind: echo}}
config: {model_type: echoes, vocab_size: "= p.vocab_size", width: "= p.hidden_size", depth: "= len(p.layers)"}
weights:
  embed.weight: table
  "layers.{i}.norms.mixer.weight": "layer.{i}.norm"
  norm.weight: last
  head.weight: out
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An environment with a plugin that ships a spec and a family."""
    with site_in(tmp_path, monkeypatch) as made:
        made.install("echo", PLUGIN)
        for kind, text in (("specs/tiny-echo", SPEC), ("families/echoes", FAMILY)):
            file = tmp_path / "data" / f"{kind}.yaml"
            file.parent.mkdir(parents=True)
            file.write_text(text, encoding="utf-8")
        yield made


def test_a_spec_of_a_plugin(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """It is found by its name, as one of the host's, by every way to name a spec."""
    assert "tiny-echo" in shipped_specs()
    assert site.folder / "data" / "specs" / "tiny-echo.yaml" == spec_file("tiny-echo")
    assert "tiny" == composer.read_spec("tiny-echo").name
    assert "more" == composer.read_spec("composer: 1\nextends: tiny-echo\nname: more\n").name
    assert 0 == main(["show", "tiny-echo"])
    assert "tiny" in capsys.readouterr().out


def test_without_the_plugin_the_spec_is_not_there(site: Site) -> None:
    """What limits plugins limits their data."""
    with (
        plugins.using(only="mlp"),
        pytest.raises(composer.ComposerError, match="no shipped spec 'tiny-echo'"),
    ):
        composer.read_spec("tiny-echo")
    assert composer.read_spec("tiny-echo")


def test_weights_beside_a_spec(site: Site) -> None:
    """A plugin may ship a checkpoint folder under the name of its spec."""
    folder = site.folder / "data" / "specs" / "tiny-echo"
    folder.mkdir()

    assert folder == checkpoint_folder("tiny-echo")


def test_a_checkpoint_of_a_plugin_s_family(site: Site, tmp_path: Path) -> None:
    """The configuration is recognised, and weights go out and in by the family's names."""
    config = {"model_type": "echoes", "width": 6, "depth": 2}
    (family,) = matching(config)
    spec = import_config(config, "mine")
    model = composer.build(composer.resolve(spec), seed=0)
    composer.save(model, tmp_path / "out")
    again = composer.load(tmp_path / "out")

    assert ("echoes", "echoes") == (family.name, spec.weights)
    assert "echoes" == json.loads((tmp_path / "out" / "config.json").read_text())["model_type"]
    assert torch.equal(model(torch.tensor([[1, 2]])).logits, again(torch.tensor([[1, 2]])).logits)


def test_a_local_file_ships_data(site: Site) -> None:
    """The same module, not installed, named by its path."""
    file = site.folder / "elsewhere.py"
    file.write_text(
        PLUGIN.replace('"echo"', '"loud"').replace("Path(__file__).parent", f"Path({str(site.folder)!r})")
    )
    with plugins.using(files=[file], only=""):
        assert "tiny-echo" in shipped_specs()
        assert "echoes" in families()
    assert ["attention", "echo", "mamba2", "mlp"] == list(composer.catalog().offers)


def test_a_broken_family_harms_no_other(site: Site) -> None:
    """What is no family is left out, and named where families are listed."""
    (site.folder / "data" / "families" / "bad.yaml").write_text("family: bad\nmatch: 3\n", encoding="utf-8")

    assert "echoes" in families()
    assert "bad" not in families()
    assert ["E421"] == [problem.code for problem in unusable()]
    assert [] == matching({"model_type": "bad"})


def test_bytes_that_are_no_text(site: Site) -> None:
    """A file of a plugin may hold anything."""
    (site.folder / "data" / "families" / "bad.yaml").write_bytes(b"family: bad\n\xff\xfe")

    assert {"E421"} == {problem.code for problem in unusable()}
    assert "llama" in families()


def test_a_family_of_one_name_twice(site: Site) -> None:
    """A spec that names it is refused; every other family works."""
    copy = FAMILY.replace("echoes", "llama").replace("c.model_type == 'llama'", "c.model_type == 'other'")
    (site.folder / "data" / "families" / "again.yaml").write_text(copy, encoding="utf-8")

    assert ["E420"] == [problem.code for problem in unusable()]
    with pytest.raises(composer.ComposerError, match="the family 'llama' is shipped by arch-composer"):
        family_named("llama")
    assert "mistral" == family_named("mistral").name
