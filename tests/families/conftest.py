"""One pair of models a case: tests of one case share it, then it goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import transformers

from ..prove import cases
from .cases import FAMILIES, Case, case
from .pair import Pair

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

CASES = [case(family, number) for family in FAMILIES for number in range(cases(3, 100))]


@pytest.fixture(scope="module", autouse=True)
def _quiet_and_alone() -> Iterator[None]:
    """One thread: the models are tiny, and sums are then always taken in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=CASES, ids=str)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The reference and ours on each case."""
    given: Case = request.param
    return Pair(given, tmp_path_factory.mktemp("case"))
