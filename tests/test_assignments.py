"""`--set`: whatever way an option is spelt, what is set last has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest

import composer
from composer.errors import SpecError

RIGHT = (Path(__file__).parent / "errors" / "spec_right.yaml").read_text(encoding="utf-8")
SPECIAL = RIGHT.replace("swa×3", "swa×2, swa(sliding_window=4)")


def windows(*assignments: str, text: str = SPECIAL) -> list[int | None]:
    """The window of the mixer of each layer of the first cycle."""
    plan = composer.resolve(composer.read_spec(text, set=assignments))
    return [layer.host.mixers[0].block.sliding_window for layer in plan.layers]  # type: ignore[attr-defined]


SPELT = (
    "blocks.swa.sliding_window={}",
    "blocks.swa={{sliding_window: {}}}",
    "blocks={{swa: {{sliding_window: {}}}}}",
)


@pytest.mark.parametrize("spelt", SPELT)
def test_wins_over_everything(spelt: str) -> None:
    """Over the entry, an argument in the pattern and an override, as a path or as a mapping."""
    assert [None, 16, 16, 4, None, 16, 16, None] == windows()
    assert [None, 8, 8, 8, None, 8, 8, 8] == windows(spelt.format(8))


@pytest.mark.parametrize("first", SPELT)
@pytest.mark.parametrize("second", SPELT)
def test_the_last_wins(first: str, second: str) -> None:
    """Of two assignments of one option the later one counts, however each is spelt."""
    assert windows(SPELT[0].format(9)) == windows(first.format(8), second.format(9))


@pytest.mark.parametrize("spelt", ["blocks.full.sliding_window=8", "blocks.full={sliding_window: 8}"])
def test_reaches_blocks_that_extend(spelt: str) -> None:
    """A block that extends another has what is set of that one, unless something is said of it itself."""
    text = SPECIAL.replace("extends: full\n    sliding_window: 16", "extends: full")
    mine = "blocks.swa.sliding_window=5"

    assert [8, 8, 8, 4, 8, 8, 8, None] == windows(spelt, text=text)
    assert [8, 16, 16, 4, 8, 16, 16, None] == windows(spelt)
    assert [8, 5, 5, 5, 8, 5, 5, 5] == windows(spelt, mine) == windows(mine, spelt)


def test_groups_of_options_are_merged() -> None:
    """One number of a group is set, the others stay."""
    plan = composer.resolve(composer.read_spec(RIGHT, set=["blocks.full={rope: {theta: 5.0}}"]))
    ropes = [layer.host.mixers[0].block.rope for layer in plan.layers]  # type: ignore[attr-defined]

    assert {(rope.type, rope.theta) for rope in ropes} == {("default", 5.0)}


def test_a_new_block() -> None:
    """A mapping can bring a block that was not there, with its kind and its options."""
    new = "blocks.wide={extends: full, sliding_window: 7}"

    assert [7] == windows(new, "pattern=wide", "layers=1", "overrides=[]")


def test_one_string_is_one_assignment() -> None:
    """Somebody who forgets the brackets is understood."""
    assert 64 == composer.read_spec(RIGHT, set="hidden_size=64").hidden_size


@pytest.mark.parametrize(
    ("assignment", "shown"),
    [
        ("blocks.swa.num_key_value_heads=3", "3"),
        ("blocks.full={num_key_value_heads: 3}", "3"),
        ("blocks={swa: {num_key_value_heads: 3}}", "3"),
        ("pattern=full, swa(num_key_value_heads=3)", "num_key_value_heads"),
        ("overrides=[{at: 1, set: {num_key_value_heads: 3}}]", "3"),
        ("blocks.full.head_dim=7", "7"),
    ],
)
def test_a_conflict_is_told_where_it_comes_from(assignment: str, shown: str) -> None:
    """Options that do not fit together: the one that was set is shown, not the one that was there before."""
    with pytest.raises(SpecError) as caught:
        composer.resolve(composer.read_spec(RIGHT, set=[assignment]))
    (place,) = {problem.place for problem in caught.value.problems}
    assert place is not None

    assert (assignment, shown) == (place.text, place.text[place.column - 1 : place.column - 1 + place.width])


@pytest.mark.parametrize(
    ("assignment", "rank"),
    [
        ("blocks.both.adapters.mlp.gate_up.rank=5", 5),
        ("blocks.both.adapters.mlp.gate_up={rank: 6}", 6),
        ("blocks.both.adapters={mlp.gate_up: {rank: 7}}", 7),
    ],
)
def test_the_name_of_an_adapter_has_dots(assignment: str, rank: int) -> None:
    """It is one key on the left side, too."""
    both = "  both: {adapters: {mlp.gate_up: {rank: 2}}, branches: [{norm: rms, mix: mlp}]}\noverrides:"
    text = RIGHT.replace("overrides:", both).replace("swa×3", "swa×3+both")
    plan = composer.resolve(composer.read_spec(text, set=[assignment]))

    assert [rank] == [each.up.reads for each in plan.layers[3].guests["both"].adapters]


def test_a_wrong_adapter_is_told_by_its_whole_name() -> None:
    """The place is the name with its dots."""
    with pytest.raises(SpecError) as caught:
        composer.resolve(composer.read_spec(RIGHT, set=["blocks.full.adapters.qkv.w.rank=5"]))

    (problem,) = caught.value.problems
    assert ("blocks.full.adapters.qkv.w", "E342") == (problem.path, problem.code)
    assert problem.place is not None
    assert (22, 5) == (problem.place.column, problem.place.width)
