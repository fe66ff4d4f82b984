"""Why a lone row of bfloat16 is multiplied twice: the matrix product of this torch at one row and at two.

    python benchmarks/one_row.py            # prints a table; one thread and all of them

Microseconds a product, best of interleaved rounds, over so many matrices that none stays in a cache.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F

SHAPES = ((1024, 1024), (2816, 1024), (1024, 2816), (768, 3072), (4096, 4096), (14336, 4096), (4096, 14336))
BYTES = 80_000_000


def best(x: torch.Tensor, weights: list[torch.Tensor]) -> float:
    """Seconds of one product, as the mean of one pass over all weights."""
    start = time.perf_counter()
    for weight in weights:
        F.linear(x, weight)
    return (time.perf_counter() - start) / len(weights)


@torch.inference_mode()
def main() -> None:
    """Print one line a shape."""
    most = torch.get_num_threads()
    print("| threads | writes x reads | one row, us | two rows, us | ratio |\n|---|---|---|---|---|")
    for threads in sorted({1, most}):
        torch.set_num_threads(threads)
        for writes, reads in SHAPES:
            count = max(2, BYTES // (writes * reads * 2))
            weights = [torch.randn(writes, reads).bfloat16() for _ in range(count)]
            rows = [torch.randn(1, n, reads).bfloat16() for n in (1, 2)]
            one, two = map(min, zip(*([best(x, weights) for x in rows] for _ in range(9)), strict=True))
            cells = f"{one * 1e6:.0f} | {two * 1e6:.0f} | {one / two:.2f}"
            print(f"| {threads} | {writes} x {reads} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
