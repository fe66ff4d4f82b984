"""The wire format of protocol buffers, as far as a vocabulary needs it: numbered fields, one behind the other."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_WIDTH = {1: 8, 5: 4}


class WireProblem(ValueError):
    """Why bytes are no message."""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: whole numbers as they are, everything else as bytes.

    Raises `WireProblem`.
    """
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        kind = key & 7
        value: int | bytes
        if kind == 0:
            value, at = _number(data, at)
        elif kind in (1, 2, 5):
            width, at = _number(data, at) if kind == 2 else (_WIDTH[kind], at)
            value, at = data[at : at + width], at + width
            if at > len(data):
                raise WireProblem("it ends inside a field")
        else:
            raise WireProblem(f"it has a field of the unknown kind {kind}")
        yield key >> 3, value


def real(value: int | bytes) -> float:
    """A number of four bytes.  Raises `WireProblem`."""
    if not isinstance(value, bytes) or len(value) != 4:
        raise WireProblem("a number has the wrong width")
    return float(struct.unpack("<f", value)[0])


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A whole number of at most 64 bits, seven in a byte, and where it ends."""
    found = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise WireProblem("it ends inside a number")
        byte, at = data[at], at + 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
    raise WireProblem("it holds a number that does not end")
