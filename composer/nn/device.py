"""Where a model may live, and in which precision: one check for all who are told by a user."""

from __future__ import annotations

from typing import Any

import torch

from composer.errors import CallError, fail

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64)
}


def usable_device(device: Any) -> torch.device:
    """A device that this machine has, which "meta" always is.  Raises CallError E716 with torch's reason."""
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
        return found
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        why = str(error).split("\n")[0]
        message = f"the device {device!r} cannot be used: {why}"
        fail(CallError, "E716", message, path="device", hint="cpu always can")


def usable_dtype(dtype: Any) -> torch.dtype:
    """A precision that models have.  Raises CallError E713 for anything else, names included."""
    if isinstance(dtype, torch.dtype) and dtype in DTYPES.values():
        return dtype
    names = ", ".join(f"torch.{name}" for name in DTYPES)
    fail(CallError, "E713", f"a model cannot be in {dtype!r}", path="dtype", hint=f"one of: {names}")
