"""Is every number of a model finite?  At the speed of reading it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

# The bits of the smallest non-finite magnitude (the exponent all ones), and the integers of that width.
_WIDTHS: dict[torch.dtype, tuple[int, Any, Any, torch.dtype]] = {
    torch.bfloat16: (0x7F80, np.int16, np.uint16, torch.int16),
    torch.float16: (0x7C00, np.int16, np.uint16, torch.int16),
    torch.float32: (0x7F800000, np.int32, np.uint32, torch.int32),
    torch.float64: (0x7FF0000000000000, np.int64, np.uint64, torch.int64),
}
_STRETCH_BYTES = 1 << 20  # a second look then finds its numbers in the processor's cache
# Numbers below 2 have the highest bit of their exponent clear, here for every lane of an 8-byte word.
_TWO = {2: 0x4000400040004000, 4: 0x4000000040000000, 8: 0x4000000000000000}
_Job = tuple[str, np.ndarray[Any, Any], torch.dtype]


def not_finite(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the contiguous 16, 32 and 64-bit float tensors that hold a NaN or an infinity, in order.

    On the CPU it takes as many threads as torch does.
    """
    near = {name: tensor for name, tensor in tensors.items() if tensor.device.type == "cpu"}
    broken = {name for name, t in tensors.items() if name not in near and not torch.isfinite(t).all()}
    jobs = iter([job for name, tensor in near.items() for job in _stretches(name, tensor)])
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        workers = [pool.submit(_work, jobs) for _ in range(torch.get_num_threads())]
        broken.update(*(worker.result() for worker in workers))
    return [name for name in tensors if name in broken]


def _stretches(name: str, tensor: torch.Tensor) -> Iterator[_Job]:
    bits = tensor.detach().view(-1).view(_WIDTHS[tensor.dtype][3]).numpy()
    step = _STRETCH_BYTES // tensor.element_size()
    for begin in range(0, bits.size, step):
        yield name, bits[begin : begin + step], tensor.dtype


def _work(jobs: Iterator[_Job]) -> set[str]:
    return {name for name, bits, dtype in jobs if not _finite(bits, dtype)}


def _finite(bits: np.ndarray[Any, Any], dtype: torch.dtype) -> bool:
    """Most weights are below 2, which one pass can tell; others are compared with the smallest infinity.

    Read as integers, floats of one sign keep their order, the negative ones behind the sign bit, so two
    maxima find the largest magnitude of each sign without a temporary.
    """
    if bits.nbytes % 8 == 0 and bits.ctypes.data % 8 == 0:
        union = int(np.bitwise_or.reduce(bits.view(np.uint64)))
        if not union & _TWO[bits.itemsize]:
            return True
    edge, signed, unsigned, _ = _WIDTHS[dtype]
    sign = 1 << (8 * bits.itemsize - 1)
    return bool(bits.view(signed).max() < edge and bits.view(unsigned).max() < edge + sign)
