"""Files that nobody wrote: each is taken, or refused with an error of ours; nothing crashes, hangs or swells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

import composer

from .. import prove
from . import judge
from .folders import Configs, Generations, Headers, Indexes, ShardHeaders
from .specs import SEEDS, Specs, counted
from .texts import Tokenizers

# Kind -> how many of the 20,000.
KINDS: dict[str, tuple[Any, int]] = {
    "specs": (Specs, 7000),
    "configs": (Configs, 4000),
    "generation": (Generations, 1000),
    "indexes": (Indexes, 2500),
    "headers": (Headers, 3000),
    "shards": (ShardHeaders, 1000),
    "tokenizers": (Tokenizers, 1500),
}
SAMPLE = 13  # the normal suite tries one in so many
COMMANDS = 20  # and one in so many goes through the command line, too


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """One thread: the models are tiny, and every further thread takes memory of its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.stem)
def test_seeds_are_sound(seed: Path) -> None:
    """What a mutant is made of has nothing wrong with it."""
    counted(composer.resolve(composer.read_spec(seed)))


@pytest.mark.parametrize("kind", KINDS)
def test_mutants(kind: str, tmp_path: Path) -> None:
    """Every mutant ends in success or in an error with a code and a sentence."""
    make, full = KINDS[kind]
    count = prove.cases(full // SAMPLE, full)
    place, codes = make(tmp_path), Counter[str]()
    place.run()
    before = judge.open_files()
    with judge.little_memory():
        for number in range(count):
            codes[tried(kind, place, number)] += 1
    assert before + 20 > judge.open_files()
    assert {"fine"} < set(codes)
    prove.counted("damaged files that end in a traceback, a hang or a gibibyte", count)


def tried(kind: str, place: Any, number: int) -> str:
    """The outcome of one mutant."""
    draw = Random(f"{kind} {number}")
    place.write(draw)
    try:
        found = judge.outcome(place.run)
        if number % COMMANDS == 0 and hasattr(place, "command"):
            judge.outcome(lambda: place.command(draw))
    except judge.Finding as finding:
        raise judge.Finding(f"{kind} {number}: {finding}\n{place.shown()[:3000]}") from finding
    return found
