"""What a token meets of a block of which it passes some linears only: FLOPs and parameters, to the last one."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

import composer
from composer import Block, Declared, Linears, Plan, Site
from composer.describe import summarise
from composer.describe.page_parts import counts
from composer.describe.report import summary_text

EXPERTS, CHOSEN, WIDTH, HIDDEN = 7, 3, 5, 11


class Experts(Block):
    """A router of seven, three for each token."""

    kind: ClassVar[str] = "experts"

    def declares(self, site: Site) -> Declared:
        """A group an expert."""
        one = Linears(reads=site.reads, parts={"a": WIDTH, "b": WIDTH - 1}, bias=True, used=(CHOSEN, EXPERTS))
        experts = {f"experts.{number}": one for number in range(EXPERTS)}
        return Declared(linears={"router": Linears(reads=site.reads, parts={"scores": EXPERTS}), **experts})

    def flops(self, site: Site, context: int) -> int:
        """None beyond the linears."""
        return 0


class Offering:
    """The plugin."""

    @staticmethod
    @composer.hookimpl
    def composer_blocks() -> list[type[Block]]:
        """One kind."""
        return [Experts]


def plan(word: dict[str, Any], pattern: str = "word") -> Plan:
    """Layers of a word, without norms and head."""
    spec = {
        "composer": 1,
        "name": "experts",
        "vocab_size": 1,
        "hidden_size": HIDDEN,
        "norm": {"kind": "rms", "eps": 1e-5},
        "final_norm": False,
        "layer": [{"mix": "mixer"}],
        "pattern": pattern,
        "blocks": {"experts": {"kind": "experts"}, "word": {"extends": "experts", **word}},
    }
    return composer.resolve(composer.Spec.model_validate(spec), composer.catalog(Offering), head="base")


ROUTER, EXPERT = HIDDEN * EXPERTS, (HIDDEN + 1) * (2 * WIDTH - 1)
WORK = 2 * HIDDEN * (EXPERTS + CHOSEN * (2 * WIDTH - 1))


def test_flops_and_parameters_are_those_of_the_chosen() -> None:
    """Parameters of the whole are all there are."""
    found = plan({})

    assert WORK == found.flops(9)
    assert HIDDEN + ROUTER + EXPERTS * EXPERT == found.parameter_count
    assert HIDDEN + ROUTER + CHOSEN * EXPERT == found.used_parameter_count


def test_shared_ones_are_met_at_every_use() -> None:
    """Four layers over two copies: twice as much as there is, of the chosen ones."""
    found = plan({"share": {"copies": 2}}, "word×4")

    assert 4 * WORK == found.flops(9)
    assert HIDDEN + 2 * (ROUTER + EXPERTS * EXPERT) == found.parameter_count
    assert HIDDEN + 4 * (ROUTER + CHOSEN * EXPERT) == found.used_parameter_count


def test_adapters_are_met_where_their_linears_are() -> None:
    """One beside each expert; a token meets those of its own."""
    adapters = {f"experts.{number}": {"rank": 2} for number in range(EXPERTS)}
    found, one = plan({"adapters": adapters}), 2 * HIDDEN + 2 * (2 * WIDTH - 1)

    assert WORK + 2 * CHOSEN * one == found.flops(9)
    assert plan({}).parameter_count + EXPERTS * one == found.parameter_count
    assert plan({}).used_parameter_count + CHOSEN * one == found.used_parameter_count


@pytest.mark.parametrize("word", [{}, {"share": {"copies": 2}}, {"adapters": {"experts.0": {"rank": 7}}}])
def test_pages_and_summaries_say_so(word: dict[str, Any]) -> None:
    """Part by part, with the same sum."""
    found = plan(word, "word×4")
    summary, parts = summarise(found), counts(found)

    assert found.used_parameter_count == sum(part.used_parameters for part in summary.parts)
    assert found.used_parameter_count == sum(part.used for part in parts.values())
    block = next(part for part in summary.parts if part.kind == "experts")
    assert 4 * (ROUTER + CHOSEN * EXPERT) == block.used_parameters == parts["`word`"].used
    assert f"{found.used_parameter_count:,}" in summary_text(summary)


def test_the_reason_is_told() -> None:
    """Why the numbers differ."""
    assert "by a token, skipped ones not\n" in summary_text(summarise(plan({})))


@pytest.mark.parametrize("used", [(0, 4), (5, 4), (-1, -1)])
def test_a_part_is_a_part(used: tuple[int, int]) -> None:
    """From one to all."""
    with pytest.raises(ValidationError, match="k of n groups that a token passes"):
        Linears(reads=1, parts={"a": 1}, used=used)
