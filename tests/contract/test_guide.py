"""The guide for authors of blocks: its plugin works as written, and its table of checks is the kit's."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field

import composer
import composer.nn
import composer.testing
from composer.testing import check_block, contract_checks, run_checks

from .faults.recurrence import Fading

GUIDE = (Path(__file__).parents[2] / "docs" / "writing-a-block.md").read_text(encoding="utf-8")
GATE, OPTIONS, MODULE, TEST, ALONE, BY_HAND = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)[:6]
(GATED,) = re.findall(r"```yaml\n(composer: 1\n.*?)```", GUIDE, re.DOTALL)
SPEC = """
composer: 1
name: echoes
vocab_size: 20
hidden_size: 8
norm: {kind: rms, eps: 1.0e-5}
pattern: echo×2
blocks:
  echo: {kind: echo, window: 3}
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package of the guide, imported."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "my_echo").mkdir()
    (folder / "my_echo/__init__.py").write_text(OPTIONS, encoding="utf-8")
    (folder / "my_echo/module.py").write_text(MODULE, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield importlib.import_module("my_echo")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == "my_echo"]:
        del sys.modules[name]


def test_one_file(tmp_path: Path) -> None:
    """The file of the guide in its spec, as the guide shows it; every check passes, as many as are said."""
    (tmp_path / "gate.py").write_text(GATE, encoding="utf-8")
    (tmp_path / "gated.yaml").write_text(GATED, encoding="utf-8")
    shown = re.findall(r"\$ arch-composer show gated.yaml --plugin gate.py\n(.*?)\.\.\.", GUIDE, re.DOTALL)
    command = [sys.executable, "-m", "composer", "show", "gated.yaml", "--plugin", "gate.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    assert [done.stdout[: len(each)] for each in shown] == shown
    gate = composer.catalog(files=[tmp_path / "gate.py"])["gate"]
    check_block(gate(), checks=[name for name in contract_checks() if name != "compiling"])
    assert f"{len(contract_checks())} of {len(contract_checks())} checks passed" in GUIDE


def test_the_plugin_keeps_the_contract(plugin: ModuleType) -> None:
    """By the samples of the guide's own test."""
    names: dict[str, Any] = {}
    exec(TEST, names)
    for block in names["SAMPLES"]:
        check_block(block, checks=[name for name in contract_checks() if name != "compiling"])


def test_the_plugin_in_a_model(plugin: ModuleType) -> None:
    """It is offered through the hook, stands in a spec, and generates."""
    plan = composer.resolve(composer.read_spec(SPEC), composer.catalog(plugin))
    model = composer.build(plan, seed=0)
    ids = model.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=5)

    assert (1, 8) == tuple(ids.shape)


def test_the_test_runs(plugin: ModuleType) -> None:
    """As written: a test for every check of every sample."""
    names: dict[str, Any] = {}
    exec(TEST, names)
    (mark,) = names["test_echo"].pytestmark

    assert len(names["SAMPLES"]) * len(contract_checks()) == len(mark.args[1])


def test_the_failure_shown() -> None:
    """Is what the kit says, but for the ends of lines."""
    (shown,) = re.findall(r"```text\n(padding: .*?)```", GUIDE, re.DOTALL)
    (found,) = run_checks(Fading(fault="ClampsAfterMask"), checks=["padding"])

    assert str(found.problem).split() == shown.split()


def test_the_table_of_checks() -> None:
    """Every check in its order, with the sentence of its docstring."""
    section = GUIDE.split("## The test")[1].split("## Rules")[0]
    table = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    expected = [(name, (check.__doc__ or "").splitlines()[0]) for name, check in contract_checks().items()]

    assert expected == table


@pytest.mark.parametrize("door", [composer, composer.nn, composer.testing], ids=lambda door: door.__name__)
def test_the_promised_names(door: ModuleType) -> None:
    """What the guide promises is there, and public."""
    (row,) = re.findall(rf"^\| `{door.__name__}` \| (.*) \|$", GUIDE, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", row)) <= set(door.__all__)


def test_the_kit_needs_no_test_runner() -> None:
    """It runs where pytest is not installed, and brings in nothing of it."""
    code = """
import sys
sys.modules["pytest"] = None
import composer, composer.testing
block = composer.catalog()["mlp"].model_validate({"intermediate_size": 3, "hidden_act": "relu"})
composer.testing.check_block(block, checks=["steps", "flops", "half"])
print("hypothesis" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("False\n", "") == (done.stdout, done.stderr)


def test_the_block_alone(plugin: ModuleType) -> None:
    """The comparison of the guide runs as written: pieces over a cache are the whole."""
    weights = composer.testing.alone(plugin.Echo(window=3), composer.Site(reads=16, writes=16), seed=5).block
    given = {
        "Echo": plugin.Echo,
        "x": torch.randn(2, 11, 16),
        "torch": torch,
        "weights": weights.state_dict(),
    }
    with torch.no_grad():
        exec(ALONE, given)
        assert torch.allclose(given["block"](given["x"]), torch.cat(given["parts"], 1), atol=1e-5)


class Contrast(composer.Block):
    """Options for the attention that the guide writes out."""

    kind: ClassVar[str] = "contrast"
    window: composer.Width = Field(default=3, description="How many tokens are compared.")
    width: composer.Width = Field(default=4, description="Width of the comparisons.")

    def sees(self, query: Any, key: Any) -> Any:
        return composer.Causal(self.window)(query, key)

    def flops(self, site: composer.Site, context: int) -> int:
        return 6 * self.width * min(context, self.window)

    def declares(self, site: composer.Site) -> composer.Declared:
        reads = dict.fromkeys(("q", "other_q", "k", "other_k", "v"), self.width)
        return composer.Declared(
            linears={
                "qkv": composer.Linears(reads=site.reads, parts=reads),
                "out": composer.Linears(reads=self.width, parts={"o": site.writes}),
            },
            slot=composer.Slot(
                tensors=dict.fromkeys(("k", "other", "v"), (1, self.width)), window=self.window
            ),
        )

    def build(self, site: composer.Site) -> Any:
        names: dict[str, Any] = {**vars(composer.nn), "torch": torch}
        exec(BY_HAND, names)
        return names["TwoSoftmaxes"](self.declares(site).linears, self.window)


def test_attention_by_hand() -> None:
    """The module of the guide keeps the contract as written, over short windows and long."""
    for block in (Contrast(), Contrast(window=30)):
        check_block(block, checks=[name for name in contract_checks() if name != "compiling"])
