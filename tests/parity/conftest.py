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


def on(release: int) -> list[Case]:
    """The cases as files of one release."""
    return sampled(cases(10, 200), release)


@pytest.fixture(scope="module", params=on(5) + on(4), ids=str)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The reference and ours on each case, from files as either release writes them."""
    return Pair(request.param, tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module", params=on(5), ids=str)
def newest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The same, for what the files make no difference to."""
    return Pair(request.param, tmp_path_factory.mktemp("case"))
