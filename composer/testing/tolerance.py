"""How far two ways to compute the same may differ: one table for all checks."""

from __future__ import annotations

from collections.abc import Mapping

import torch

TOLERANCE: Mapping[torch.dtype, float] = {
    # Sums of some hundred terms in another order are a few units of the last place (1.2e-7) apart, and a state
    # that is carried in pieces adds to that; the worst of the host's own blocks is at a tenth of this.  The
    # smallest fault that was ever seeded shows at 1e-4.
    torch.float32: 2e-5,
    # A block does what is delicate in float32, whatever the stream's dtype: no more is asked of a wider one.
    torch.float64: 2e-5,
    # Eight units of the last place: every tensor between two operations is rounded once, and errors of a
    # dozen such roundings add up like a random walk to about half of that.
    torch.bfloat16: 8 * torch.finfo(torch.bfloat16).eps,
    torch.float16: 8 * torch.finfo(torch.float16).eps,
}
"""Largest difference over the largest expected value, by the dtype that is computed in."""

SLOPE = 5e-2
"""How far a gradient may be from the slope that is measured between two points, over the gradient's length: the
curve and its kinks between them cost up to 1e-2, a part of the gradient that is missing usually more than half."""

NOISE: Mapping[torch.dtype, float] = {torch.float32: 1e-6, torch.float64: 1e-14}
"""What rounding makes of a sum, over the sum of the sizes of its terms, by the dtype that is computed in."""
