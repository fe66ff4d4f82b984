"""One pair of models a case: tests of one case share it, then it goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import transformers

from ..prove import cases
from .configs import Case, sampled
from .oracle import Pair

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="module", autouse=True)
def _quiet_and_alone() -> Iterator[None]:
    """One thread: the models are tiny, and sums are then always taken in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(
    scope="module", params=[c for release in (5, 4) for c in sampled(cases(10, 200), release)], ids=str
)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The reference and ours on each case, from files as releases 5 and 4 write them."""
    case: Case = request.param
    return Pair(case, tmp_path_factory.mktemp(f"case-{case.number}-{case.release}"))
