"""Is every number of a model finite?  At the speed of reading it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Bits = np.ndarray[Any, Any]

# The bits of the smallest non-finite magnitude (the exponent all ones), and the integers of that width.
_WIDTHS: dict[torch.dtype, tuple[int, Any, Any]] = {
    torch.bfloat16: (0x7F80, np.int16, np.uint16),
    torch.float16: (0x7C00, np.int16, np.uint16),
    torch.float32: (0x7F800000, np.int32, np.uint32),
    torch.float64: (0x7FF0000000000000, np.int64, np.uint64),
}
# Numbers below 2 have the highest bit of their exponent clear, here for every lane of an 8-byte word.
_TWO = {2: 0x4000400040004000, 4: 0x4000000040000000, 8: 0x4000000000000000}
_REGION_BYTES = 32 << 20  # long enough that threads seldom meet
_STRETCH_BYTES = 1 << 20  # short enough that a second look finds its numbers in the processor's cache


@dataclass(frozen=True)
class Region:
    """Bytes `begin` to `end` of `data` (uint8), all of them numbers of one float dtype."""

    data: Bits
    begin: int
    end: int
    dtype: torch.dtype

    def holds(self, tensor: torch.Tensor, whole: bool) -> bool:
        """Whether it shares memory with a CPU tensor, all of it or some."""
        first = self.data.ctypes.data + self.begin
        last, begin = first + self.end - self.begin, tensor.data_ptr()
        end = begin + tensor.nbytes
        return first <= begin and end <= last if whole else begin < last and first < end

    def split(self, most: int) -> Iterator[Region]:
        """The same bytes in regions of at most `most`."""
        for begin in range(self.begin, self.end, most):
            yield Region(self.data, begin, min(begin + most, self.end), self.dtype)

    def below_two(self) -> bool:
        """Whether every magnitude is below 2, as nearly all weights are: one pass can tell.  False if unsure."""
        bits = self.data[self.begin : self.end]
        if bits.nbytes % 8 or bits.ctypes.data % 8:
            return False
        union = int(np.bitwise_or.reduce(bits.view(np.uint64)))
        return not union & _TWO[self.dtype.itemsize]

    def finite(self) -> bool:
        """Whether no magnitude reaches the smallest infinity.

        Read as integers, floats of one sign keep their order, the negative ones behind the sign bit, so two
        maxima find the largest magnitude of each sign without a temporary.
        """
        edge, signed, unsigned = _WIDTHS[self.dtype]
        bits = self.data[self.begin : self.end]
        sign = 1 << (8 * self.dtype.itemsize - 1)
        return bool(bits.view(signed).max() < edge and bits.view(unsigned).max() < edge + sign)


class Scan:
    """Looks through regions of memory in the background, from the moment it is made.

    It takes as many threads as torch does, the one that waits for the result among them, and one at least.
    """

    def __init__(self, regions: Iterable[Region]) -> None:
        self._regions = list(regions)
        self._jobs = iter([part for region in self._regions for part in region.split(_REGION_BYTES)])
        helpers = max(1, torch.get_num_threads() - 1)
        pool = ThreadPoolExecutor(helpers, thread_name_prefix="finite")
        self._workers = [pool.submit(_work, self._jobs) for _ in range(helpers)]
        pool.shutdown(wait=False)

    @property
    def nbytes(self) -> int:
        """Bytes to look at."""
        return sum(region.end - region.begin for region in self._regions)

    def suspects(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors that no region holds, and those near a NaN or an infinity.  Asked for once."""
        bad = _work(self._jobs) + [found for worker in self._workers for found in worker.result()]
        return {
            name: tensor
            for name, tensor in tensors.items()
            if tensor.device.type != "cpu"
            or not any(region.holds(tensor, True) for region in self._regions)
            or any(stretch.holds(tensor, False) for stretch in bad)
        }


def _work(jobs: Iterator[Region]) -> list[Region]:
    return [bad for job in jobs for bad in _bad(job)]


def _bad(region: Region) -> Iterator[Region]:
    if region.below_two():
        return
    for stretch in region.split(_STRETCH_BYTES):
        if not stretch.below_two() and not stretch.finite():
            yield stretch


def not_finite(tensors: Mapping[str, torch.Tensor], scan: Scan | None = None) -> list[str]:
    """Names of the contiguous 16, 32 and 64-bit float tensors that hold a NaN or an infinity, in order.

    What `scan` has looked at is not looked at again.
    """
    left = scan.suspects(tensors) if scan else tensors
    near = {name: _region(tensor) for name, tensor in left.items() if tensor.device.type == "cpu"}
    seen = Scan(region for region in near.values() if region.end).suspects(left)
    return [name for name, tensor in seen.items() if not _all_finite(tensor)]


def _region(tensor: torch.Tensor) -> Region:
    data = tensor.detach().view(-1).view(torch.uint8).numpy()
    return Region(data, 0, data.nbytes, tensor.dtype)


def _all_finite(tensor: torch.Tensor) -> bool:
    """The slow and obvious way, for the few tensors that are in doubt."""
    return bool(torch.isfinite(tensor).all())
