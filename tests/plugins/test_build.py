"""Faults of a block that is built: which block, of which plugin, for which layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import composer
from composer.errors import PluginError

from .installing import Site, site_in
from .odd import REPORT, SPEC, plan


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_in(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize(
    ("build", "told"),
    [("1 / 0", "ZeroDivisionError: division by zero"), ("raise SystemExit('bye')", "SystemExit: bye"),
     ("torch.ones(2) @ torch.ones(3)", "RuntimeError: inconsistent tensor size")],
)  # fmt: skip
def test_a_block_that_cannot_be_built(site: Site, build: str, told: str) -> None:
    """A PluginError with the cause; the next model is built as ever."""
    odd = plan(site, build)
    begins = f"plugin 'odd' of odd: build() of kind 'echo' for 'e' in layer 2 failed: {told}"

    with pytest.raises(PluginError) as caught:
        composer.build(odd)
    assert ("E424", REPORT) == (caught.value.code, caught.value.problems[0].hint)
    assert caught.value.problems[0].message.startswith(begins)
    assert type(caught.value.__cause__).__name__ == told.split(":")[0]
    assert torch.float32 == torch.get_default_dtype()
    assert composer.build(composer.resolve(composer.read_spec("pocket-mistral")), device="meta")


def test_what_layers_share(site: Site) -> None:
    """A block that is built once for several layers stands in none."""
    shared = SPEC.replace("e: {kind: echo, size: 7}", "e: {kind: echo, size: 7, share: {copies: 1}}")

    with pytest.raises(
        PluginError, match="of kind 'echo' for 'e' in what layers share failed: ZeroDivisionError"
    ):
        composer.build(plan(site, "1 / 0", spec=shared))
