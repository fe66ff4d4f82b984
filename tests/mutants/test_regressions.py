"""What mutants once broke, each as a case of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import composer
from composer.entries import RESERVED, TAKEN
from composer.errors import SpecError, TextError
from composer.nn.layer import ChainModule, Layer

from . import judge, mutate, texts
from .folders import NEW, Configs

BASE = """\
composer: 1
name: tiny
vocab_size: 11
hidden_size: 8
norm: {kind: rms, eps: 1.0e-5}
layer: [{norm: rms, mix: mixer}, {norm: rms, mix: mlp}]
pattern: full
blocks:
  full: {kind: attention, num_attention_heads: 2}
  mlp: {kind: mlp, intermediate_size: 12, hidden_act: silu}
"""


def plan(*changes: tuple[str, str]) -> composer.Plan:
    """The plan of the small spec with some of its text replaced."""
    text = BASE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return composer.resolve(composer.read_spec(text))


def refused(*changes: tuple[str, str]) -> list[str]:
    """The codes of what is wrong with the changed spec."""
    with pytest.raises(SpecError) as caught:
        plan(*changes)
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize("pattern", ["full+mlp", "full+wide+wide", "(full+wide)+wide"])
def test_a_guest_cannot_share_a_name(pattern: str) -> None:
    """It took the place of the block of that name, or was built once for two."""
    assert ["E330"] == refused(
        ("pattern: full", f"pattern: {pattern}"), ("  mlp:", "  wide: {extends: mlp}\n  mlp:")
    )


def test_names_of_torch_are_reserved() -> None:
    """A module cannot hold a child that is called like something of its own."""
    layer = Layer(plan().layers[0])
    own = {*dir(nn.Module()), *dir(nn.ModuleDict()), *dir(ChainModule), *vars(layer)}
    own -= {"smart_apply"}  # put on nn.Module by transformers, where another test has used it
    assert {"mixer", "norms"} | TAKEN >= {name for name in own if not RESERVED.fullmatch(name)}
    assert ["E319", "E319"] == refused(
        ("  full:", "  half: {extends: mlp}\n  full-post: {extends: full}\n  full:")
    )


@pytest.mark.parametrize("parent", ["{kind: nobody}", "{branches: [{mix: mlp}]}"])
def test_a_child_overrules_the_kind_of_an_odd_parent(parent: str) -> None:
    """The parent was looked up by a kind that it does not have."""
    child = "odd: {extends: base, kind: mlp, gate: true}"
    assert "E301" in refused(("  full:", f"  base: {parent}\n  {child}\n  full:"))


@pytest.mark.parametrize(
    "draw", ["distribution: uniform, spread: 1.0e+300", "distribution: constant, mean: 1.0e+300"]
)
def test_numbers_beyond_a_dtype_are_not_drawn(draw: str) -> None:
    """They failed in torch; the largest that are allowed fit in float16."""
    assert ["E304"] == refused(("blocks:", f"init: {{linear: {{{draw}}}}}\nblocks:"))
    most = "init: {linear: {distribution: uniform, spread: 3.0e+4, mean: -3.0e+4}}\nblocks:"
    composer.build(plan(("blocks:", most)), dtype=torch.float16)


def test_a_long_line_of_ancestors() -> None:
    """Blocks that extend one another by the thousand exhausted the stack."""
    line = "".join(f"  b{n + 1}: {{extends: b{n}}}\n" for n in range(3000))
    assert {"E312", "E116"} == set(
        refused(("  full:", f"  b0: {{kind: mlp, hidden_act: 1}}\n{line}  full:"))
    ) - {"E302", "E303"}


MANY = "".join(f"  b{n}: {{extends: c{n}}}\n" for n in range(4_000))


@pytest.mark.parametrize(
    "blocks", [MANY, MANY.replace("extends: c", "kind: k"), MANY.replace("extends: c", "a: 1, b: b")]
)
def test_many_mistakes_in_little_time(blocks: str) -> None:
    """Each was looked up among all keys and compared with all names; the first fifty are told."""
    changed = BASE.replace("  full:", f"{blocks}  full:").replace("pattern: full", f"pattern: {'z,' * 4000}z")
    assert judge.outcome(lambda: composer.resolve(composer.read_spec(changed))) in ("E321", "E323", "E324")


def test_arguments_at_many_layers_in_little_time() -> None:
    """The whole pattern was read again for each argument of each layer."""
    words = ",".join(f"full(sliding_window={n})" for n in range(1, 600))
    changed = BASE.replace("pattern: full", f"pattern: '{words}'\nlayers: {4 * 599}")
    assert "fine" == judge.outcome(lambda: composer.resolve(composer.read_spec(changed)))


WIDE = "".join(f"  m{n}: {{extends: mlp}}\n" for n in range(300)) + "  mlp:"
RIDERS = "".join(f"+m{n}" for n in range(300))
SAID = ", ".join(f"o{n}=1" for n in range(300))
TOO_LARGE = {
    "branches": [
        ("[{norm", "[" + "".join(f"{{mix: m{n}}}, " for n in range(300)) + "{norm"),
        ("  mlp:", WIDE),
    ],
    "guests": [("pattern: full", f"pattern: full{RIDERS}"), ("  mlp:", WIDE)],
    "arguments": [("pattern: full", f"pattern: 'full({SAID})'")],
}


@pytest.mark.parametrize("changes", TOO_LARGE.values(), ids=TOO_LARGE)
def test_millions_of_blocks_are_refused(changes: list[tuple[str, str]]) -> None:
    """Ten thousand layers are allowed, but not of hundreds of blocks each; they were decided one by one."""
    assert ["E211"] == refused(*changes, ("blocks:", "layers: 10000\nblocks:"))


def test_millions_of_overrides_are_refused() -> None:
    """Each was applied to each layer; the layers alone are fine."""
    many = ", ".join(["{at: 0..9999, set: {bias: true}}"] * 21)
    deep = ("blocks:", "layers: 10000\nblocks:")
    assert ["E325"] == refused(deep, ("norm: {kind", f"overrides: [{many}]\nnorm: {{kind"))
    assert 10_000 == len(plan(deep).layers)


def test_an_assignment_of_many_keys() -> None:
    """Mappings in mappings, one for each key, exhausted the stack."""
    with pytest.raises(SpecError, match=r"5,001 keys deep, where 32 are the most \[E318\]"):
        composer.read_spec(BASE, set=["a." * 5000 + "b=1"])


def test_a_long_line_is_cut_around_the_mistake() -> None:
    """Each of fifty problems showed the same two thousand characters, and none of them what it was about."""
    with pytest.raises(SpecError) as caught:
        composer.read_spec("a: " + "b" * 5000 + ": \x01\n")
    shown, marks = str(caught.value).splitlines()[1:]
    assert (f"    1 | …{'b' * 64}: \\x01", 75, 79) == (shown, marks.index("^"), len(marks))


def test_a_mebibyte_of_one_mistake() -> None:
    """Every forbidden character was told before the list was cut."""
    assert "E104" == judge.outcome(lambda: composer.read_spec("a: 1\n" + "\x01" * (2**20 - 10)))


def test_a_compiled_normaliser_that_lies_about_its_size(tmp_path: Path) -> None:
    """The library asked for 5.9 GB and ended the process."""
    normalizer = {"type": "Precompiled", "precompiled_charsmap": "longrope"}
    (tmp_path / "tokenizer.json").write_text(json.dumps({**texts.UNIGRAM, "normalizer": normalizer}))
    with pytest.raises(
        TextError, match=r"precompiled_charsmap claims 2,933,950,870 bytes, more than it has \[E602\]"
    ):
        composer.load_tokenizer(tmp_path)


def test_a_configuration_much_deeper_than_its_weights(tmp_path: Path) -> None:
    """Ten thousand layers were built before the first missing tensor was noticed."""
    folder = Configs(tmp_path)
    folder.put({"config.json": mutate.as_json({**NEW, "num_hidden_layers": 10_000})})
    assert "E511" == judge.outcome(lambda: composer.load(tmp_path))
