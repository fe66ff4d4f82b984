"""What the contract kit says when a block is wrong, and when the kit is asked for what it cannot do."""

from __future__ import annotations

from typing import ClassVar

import pytest

from composer import Block, Site
from composer.errors import PluginError, UsageError
from composer.testing import ContractError, check_block, parametrize_with_checks, run_checks, verify

from ..contract.faults.attention import Honest
from ..contract.faults.attention_options import NotWritten


class NoSamples(Block):
    """Needs an option."""

    kind: ClassVar[str] = "no-samples"
    size: int


def test_e411_every_failed_check_at_once() -> None:
    """One problem a check: its name, what was found, and what the check demands; an AssertionError to runners."""
    with pytest.raises(AssertionError) as caught:
        check_block(Honest(fault="IgnoresSegments", dropout=0.1), checks=["half", "packing", "crop"])
    error = caught.value
    assert isinstance(error, ContractError)
    assert [("E411", "packing")] == [(problem.code, problem.path) for problem in error.problems]
    assert "packing: block 'honest' fails 'packing': packed sequence 1 differs by " in str(error)
    assert "fed  1 row of 2 tokens, packed as 1 + 1 by segment_ids" in str(error)
    assert "hint: positions restart in at.step.positions, not in at.step.indices" in str(error)
    with pytest.raises(ContractError) as caught:
        check_block(Honest(fault="CountsFromTheEnd"), checks=["padding", "rows", "packing"])

    assert ["padding", "packing"] == [problem.path for problem in caught.value.problems]


def test_e411_a_block_that_raises() -> None:
    """An exception is a finding of the check during which it was raised."""
    with pytest.raises(ContractError, match=r"fails 'options': YAML turns NotWritten"):
        check_block(NotWritten(gain=2.0), checks=["options"])
    with pytest.raises(ContractError) as caught:
        check_block(Honest(fault="Raises"), checks=["shape"])

    assert "block 'honest' fails 'shape': it raised ZeroDivisionError: division by zero" in str(caught.value)


def test_e412_a_site_where_the_block_cannot_stand() -> None:
    """The site and the block's own words."""
    from composer_attention import Attention

    with pytest.raises(PluginError) as caught:
        check_block(Attention(num_attention_heads=5), Site(reads=32, writes=32))

    assert "E412" == caught.value.code
    assert "block 'attention' cannot stand at Site(reads=32, writes=32" in str(caught.value)
    assert "give a site that fits" in str(caught.value)


def test_e413_an_unknown_check() -> None:
    """With a suggestion."""
    with pytest.raises(PluginError) as caught:
        check_block(Honest(), checks=["shapes"])

    assert "E413" == caught.value.code
    assert "no check is called 'shapes'" in str(caught.value)
    assert "did you mean 'shape'?" in str(caught.value)


def test_e414_a_failure_expected_without_a_reason() -> None:
    """A reason is what makes an exception to the contract honest."""
    with pytest.raises(PluginError) as caught:
        run_checks(Honest(), checks=["shape"], expected={"half": " "})

    assert "E414" == caught.value.code
    assert "'half' is expected to fail, but nothing says why" in str(caught.value)
    assert "hint: write the reason" in str(caught.value)


def test_e415_a_class_of_blocks_without_samples() -> None:
    """Nothing is tried without a word."""
    with pytest.raises(PluginError) as caught:
        parametrize_with_checks(NoSamples)

    assert "E415" == caught.value.code
    assert "block 'no-samples' has no samples to try" in str(caught.value)
    assert "hint: give blocks, or write samples(), a classmethod that returns some" in str(caught.value)


@pytest.mark.parametrize("tokens", [3, 5000, 7.5])
def test_e914_a_length_that_no_text_has(tokens: int) -> None:
    """The length, and which ones there are."""
    with pytest.raises(UsageError) as caught:
        verify("pocket-mistral", tokens=tokens)

    assert "E914" == caught.value.code
    assert f"a text of {tokens} tokens cannot be fed to pocket-mistral" in str(caught.value)
    assert "hint: give from 4 to 4,096" in str(caught.value)
