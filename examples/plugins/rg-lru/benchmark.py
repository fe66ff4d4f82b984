"""CPU seconds in the block and in transformers' module, in turn: `python benchmark.py [--hidden 1024]`.

Float32, one thread, the same weights: 512 tokens at once, then single tokens that continue them, each with a memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "tests")]
from beside import Case, Pair, positions  # noqa: E402  # of the tests

PROMPT, STEPS, ROUNDS = 512, 32, 7


def watched(module: nn.Module) -> list[float]:
    """The seconds of each call of a module, as they come."""
    started: list[float] = []
    seconds: list[float] = []
    module.register_forward_pre_hook(lambda *given: started.append(time.process_time()))
    module.register_forward_hook(lambda *given: seconds.append(time.process_time() - started.pop()))
    return seconds


def medians(seconds: list[float]) -> tuple[float, float]:
    """Of the prompts, and of the single tokens, of all rounds but the first."""
    rounds = [seconds[start : start + 1 + STEPS] for start in range(1 + STEPS, len(seconds), 1 + STEPS)]
    prompts, steps = [each[0] for each in rounds], [step for each in rounds for step in each[1:]]
    return statistics.median(prompts), statistics.median(steps)


@torch.inference_mode()
def main() -> None:
    """Rounds of one and the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=1024)
    hidden = parser.parse_args().hidden
    torch.set_num_threads(1)
    case = Case(hidden, hidden, 8, tokens=PROMPT, rows=1)
    pair = Pair(case)
    ours, theirs, token = watched(pair.ours.block), watched(pair.theirs), pair.x[:, :1]
    for _ in range(1 + ROUNDS):
        cache = pair.ours.new_cache(1, max_length=PROMPT + STEPS)
        for part in (pair.x, *[token] * STEPS):
            pair.ours(part, cache)
        pair.theirs._setup_cache(1, token.device, token.dtype)
        pair.theirs(pair.x, positions(0, PROMPT), None)
        for step in range(STEPS):
            pair.theirs(token, positions(PROMPT + step, 1), None)
    for what, own, other in zip(
        (f"{PROMPT} tokens", "one token"), medians(ours), medians(theirs), strict=True
    ):
        print(f"{what}: ours {1e3 * own:.3f} ms, theirs {1e3 * other:.3f} ms, ratio {own / other:.2f}")


main()
